"""What evaluation and inference say of two small exams, against what the network's embeddings give by hand."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from scripts.engines import ExamEvaluator, ExamInference, calibrate_exams
from scripts.figures import ExamEmbeddingFile
from scripts.files.errors import UserError
from scripts.inferers import ExamCalibration, ExamLocalizer, ExamPromptClassifier
from scripts.inferers.exam_calibration import MIN_LESIONS, SIGMAS
from scripts.loading.dataset import PassThroughCollate
from scripts.predictions.masks import write_mask
from scripts.predictions.predictions import PredictionWriter, read_predictions
from scripts.reports.tokens.text_tokenizer import TextTokenizer
from scripts.transforms.letterbox import Letterbox
from tests.small_nasvlm import SENTENCES, new_network, write_text_model

MODEL = {"bundle": "nasal_pretraining", "version": "0", "checkpoint_sha256": "0" * 64, "mlflow_run_id": None}
PROMPTS = {
    "NOR": {"positive": [SENTENCES[4]], "negative": []},
    "NPC": {"positive": [SENTENCES[5]], "negative": []},
    "polyp": {"positive": [SENTENCES[2]], "negative": [SENTENCES[3]]},
}
SHAPE = (40, 60)


@pytest.fixture(scope="module")
def findings(tmp_path_factory):
    folder = write_text_model(tmp_path_factory.mktemp("text_model"))
    network = new_network(folder).eval()
    localizer = ExamLocalizer(network, TextTokenizer(folder, max_tokens=32), size=64)
    return ExamPromptClassifier(localizer, PROMPTS, ["NOR", "NPC"])


@pytest.fixture
def cases(tmp_path):
    """Exam a shows a polyp on its third image, the second of those seen; exam b shows none."""
    generator = torch.Generator().manual_seed(5)
    truth = np.zeros(SHAPE, bool)
    truth[5:25, 10:40] = True
    write_mask(tmp_path / "truth.png", truth)
    polyp = {"image_index": 2, "label": "polyp", "text": SENTENCES[2], "mask": str(tmp_path / "truth.png")}
    told = [SimpleNamespace(text=SENTENCES[2], region="middle meatus"), SimpleNamespace(text=SENTENCES[1], region="septum")]
    return [
        {
            "case_id": name,
            "record": {
                "patient_id": name,
                "images": [f"{name}{n}.png" for n in range(3)],
                "label": label,
                "regions": ["septum", "choana", "middle meatus"],
                "findings": found,
            },
            "images": torch.rand(2, 3, 64, 64, generator=generator),
            "image_indices": [0, 2],
            "views": [Letterbox(SHAPE, 64)] * 2,
            "sentences": told,
            "rejected": [],
        }
        for name, label, found in (("a", "NPC", [polyp]), ("b", "NOR", []))
    ]


def test_rows_follow_from_the_embeddings(findings, cases):
    engine = ExamEvaluator(findings, ExamCalibration(), device="cpu", val_data_loader=[PassThroughCollate()(cases)])
    engine.run()
    output = engine.state.output
    localizer = findings.localizer
    exam = localizer.encode_exams(cases[0]["images"], torch.arange(2)[None])
    polyp, clear = localizer.encode_sentences([SENTENCES[2], SENTENCES[3]])
    cosines = exam.images[0] @ torch.stack([polyp, clear]).T
    assert torch.allclose(output["exams"][0], exam.exam[0])
    chosen = int(cosines[:, 0].argmax())
    selection = [row for row in output["sentences"] if row["kind"] == "selection"]
    assert [(row["case_id"], row["hit"], row["chance"]) for row in selection] == [("a", float(chosen == 1), 0.5)]
    assert [row["label"] for row in output["sentences"] if row["kind"] == "assignment"] == ["middle meatus", "septum"] * 2
    score = [float(((cosines / 0.1).softmax(0) * cosines)[:, side].sum()) for side in (0, 1)]
    expected = (score[0] - score[1]) / float(exam.temperature)
    assert output["labels"][0]["score"] == pytest.approx(expected, abs=1e-4)
    assert [row["truth"] for row in output["labels"]] == [1, 0]
    (found,) = output["phrases"]
    assert (found["image_index"], found["area_fraction"]) == (2, pytest.approx(600 / 2400))
    heat = localizer.heat_maps(exam, polyp[None], clear[None])[0, 1, 0].numpy()
    assert np.allclose(output["answers"][0][2].heat, Letterbox(SHAPE, 64).to_native(heat), atol=1e-6)
    assert [(row["truth"], row["NOR"] + row["NPC"]) for row in output["diagnoses"]] == [
        ("NPC", pytest.approx(1, abs=1e-5)),
        ("NOR", pytest.approx(1, abs=1e-5)),
    ]


def test_heat_maps_are_smoothed_as_the_calibration_says(findings, cases):
    localizer = findings.localizer
    exam = localizer.encode_exams(cases[0]["images"], torch.arange(2)[None])
    polyp, clear = localizer.encode_sentences([SENTENCES[2], SENTENCES[3]])
    for smoothing, sigma in (({}, localizer.sigma), ({"polyp": 3.0}, 3.0), ({"polyp": 0.0}, 0.0)):
        engine = ExamEvaluator(
            findings, ExamCalibration(smoothing=smoothing), device="cpu", val_data_loader=[PassThroughCollate()(cases)]
        )
        engine.run()
        heat = localizer.heat_maps(exam, polyp[None], clear[None], sigma)[0, 1, 0].numpy()
        assert np.allclose(engine.state.output["answers"][0][2].heat, Letterbox(SHAPE, 64).to_native(heat), atol=1e-6)


def test_an_exam_without_a_sentence_takes_part_in_what_needs_none(findings, cases):
    cases[0]["sentences"] = []
    engine = ExamEvaluator(findings, ExamCalibration(), device="cpu", val_data_loader=[PassThroughCollate()(cases)])
    engine.run()
    output = engine.state.output
    assert output["patients"] == ["b"] and len(output["exams"]) == len(output["reports"]) == 1
    for name in ("diagnoses", "labels", "phrases"):
        assert "a" in {row["case_id"] for row in output[name]}
    assert [row["kind"] for row in output["sentences"] if row["case_id"] == "a"] == ["selection"]


def test_calibration_needs_findings_with_a_place(findings, cases):
    fitted = calibrate_exams(findings, [PassThroughCollate()(cases)], torch.device("cpu"))
    assert set(fitted.thresholds) == {"polyp"} and -0.5 <= fitted.heat_cut <= 0.9 and fitted.smoothing == {}
    with pytest.raises(UserError, match="box or mask"):
        calibrate_exams(findings, [PassThroughCollate()(cases[1:])], torch.device("cpu"))


def test_calibration_learns_how_a_finding_is_smoothed(findings, cases):
    exam = findings.localizer.encode_exams(cases[0]["images"], torch.arange(2)[None])

    def peak(sigma):
        heat = Letterbox(SHAPE, 64).to_native(findings.heat_maps(exam, "polyp", sigma)[0, 1].numpy())
        return np.array(np.unravel_index(np.nanargmax(heat), SHAPE))

    # A lesion around the place where the least smoothed map peaks, ten times; a localizer whose maps peak elsewhere.
    truth = np.linalg.norm(np.indices(SHAPE).T - peak(SIGMAS[0]), axis=2).T <= 4
    usual = max(SIGMAS, key=lambda sigma: np.linalg.norm(peak(sigma) - peak(SIGMAS[0])))
    assert not truth[tuple(peak(usual))]
    write_mask(Path(cases[0]["record"]["findings"][0]["mask"]), truth)
    many = [case | {"case_id": f"{case['case_id']}{number}"} for number in range(MIN_LESIONS) for case in cases]
    localizer = ExamLocalizer(findings.localizer.network, findings.localizer.tokenizer, size=64, sigma=usual)
    fitted = calibrate_exams(
        ExamPromptClassifier(localizer, PROMPTS, ["NOR", "NPC"]), [PassThroughCollate()(many)], torch.device("cpu")
    )
    assert truth[tuple(peak(fitted.smoothing["polyp"]))]


@pytest.mark.parametrize(("threshold", "located"), [(0.0, True), (1.0, False)])
def test_inference_marks_what_reaches_its_threshold(findings, cases, tmp_path, threshold, located):
    calibration = ExamCalibration(thresholds={"polyp": threshold})
    embeddings = ExamEmbeddingFile(tmp_path)
    writer = PredictionWriter(tmp_path, "nasal", MODEL)
    frame = {"device": "cpu", "val_data_loader": [PassThroughCollate()(cases)], "writer": writer, "val_handlers": [embeddings]}
    ExamInference(findings, calibration, "nasal", **frame).run()
    for answer in read_predictions(tmp_path):
        classes, polyps = answer["findings"][:2], answer["findings"][2:]
        assert [entry.label for entry in classes] == ["NOR", "NPC"]
        assert all(entry.label == "polyp" and entry.image_index in (0, 2) for entry in polyps)
        assert all((entry.mask is not None) == located for entry in polyps)
        assert located or len(polyps) == 1
    arrays = np.load(embeddings.path)
    assert arrays["case_ids"].tolist() == ["a", "b"] and arrays["image_case"].tolist() == [0, 0, 1, 1]
    assert arrays["image_index"].tolist() == [0, 2, 0, 2] and arrays["images"].shape == (4, 16)
    assert np.bincount(arrays["image_case"], arrays["attention"]) == pytest.approx([1, 1], abs=1e-5)


@pytest.mark.parametrize(
    ("phrase", "located", "reason"),
    [
        ("Smooth nasopharynx.", False, "normal"),
        ("鼻咽部光滑", False, "normal"),
        ("A polyp in the middle meatus.", True, None),
        ("中鼻道息肉", True, None),
        ("носоглотка", False, "not understood"),
    ],
)
def test_a_phrase_is_judged_by_the_lexicons_of_the_domain(findings, cases, tmp_path, phrase, located, reason):
    asked = [{**case, "record": {**case["record"], "phrases": [phrase]}} for case in cases]
    frame = {
        "device": "cpu",
        "val_data_loader": [PassThroughCollate()(asked)],
        "writer": PredictionWriter(tmp_path, "nasal", MODEL),
    }
    ExamInference(findings, ExamCalibration(heat_cut=-0.9), "nasal", **frame).run()
    for answer in read_predictions(tmp_path):
        for finding in answer["findings"]:
            assert finding.label == finding.text == phrase
            assert (finding.mask is not None) == (finding.box is not None) == located
            assert reason in finding.reason if reason else finding.reason is None


def test_prompts_without_wordings_are_named(findings):
    with pytest.raises(UserError, match="BH, NPC, polyp"):
        ExamPromptClassifier(findings.localizer, {**PROMPTS, "polyp": {"positive": ["A polyp."]}}, ["NOR", "BH"])
