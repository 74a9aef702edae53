"""Which images decided, and what an inference writes of them."""

import numpy as np
import pytest
import torch

from scripts.engines import ExamClassEvaluator, ExamClassInference
from scripts.engines.inferences.exam_class import deciding_images
from scripts.files.errors import UserError
from scripts.inferers import ExamClassCalibration
from scripts.loading.dataset import PassThroughCollate
from scripts.loading.exam_classes import screening_task
from scripts.networks import ExamClassifier, ExamEncoder
from scripts.predictions.predictions import PredictionWriter, read_predictions
from scripts.transforms.letterbox import Letterbox
from tests.small_nasvlm import new_image_encoder

MODEL = {"bundle": "npc_screening", "version": "0", "checkpoint_sha256": "0" * 64, "mlflow_run_id": None}


@pytest.mark.parametrize(
    ("totals", "deciding"),
    [([3, 1, 2], [1, 0, 1]), ([1, 1, 1], [1, 1, 1]), ([-1, 5, -9], [0, 1, 0]), ([-1, -5], [1, 0]), ([2], [1])],
)
def test_an_even_share_of_what_speaks_for_the_class(totals, deciding):
    assert deciding_images(np.array(totals, float)).tolist() == [bool(value) for value in deciding]


@pytest.fixture
def classifier():
    torch.manual_seed(1)
    return ExamClassifier(ExamEncoder(new_image_encoder()), ["NOR", "BH", "NPC"]).eval()


@pytest.fixture
def cases():
    """An exam of three images 40 x 60, of which the network saw the first and the last, and one of a single image."""
    generator = torch.Generator().manual_seed(2)
    return [
        {
            "case_id": name,
            "record": {"patient_id": name, "images": [f"{name}{n}.png" for n in range(count)], "label": label},
            "images": torch.rand(len(places), 3, 64, 64, generator=generator),
            "image_indices": places,
            "views": [Letterbox((40, 60), 64)] * len(places),
            "rejected": [],
        }
        for name, count, places, label in (("a", 3, [0, 2], "NPC"), ("b", 1, [0], "NOR"))
    ]


def test_predictions_name_images_of_the_record_and_lie_in_their_pixels(classifier, cases, tmp_path):
    writer = PredictionWriter(tmp_path, "nasal", MODEL)
    frame = {"device": "cpu", "val_data_loader": [PassThroughCollate()(cases)], "writer": writer}
    ExamClassInference(classifier, ExamClassCalibration(2.0), 64, **frame).run()
    for case, answer in zip(cases, read_predictions(tmp_path), strict=True):
        classes, located = answer["findings"][:3], answer["findings"][3:]
        logits = classifier.classify(case["images"], torch.arange(len(case["images"]))[None]).logits
        expected = (logits / 2).softmax(1)[0]
        assert [entry.probability for entry in classes] == pytest.approx(expected.tolist(), abs=1e-6)
        best = sorted(expected.tolist())
        assert classes[0].confidence == pytest.approx(best[-1] - best[-2], abs=1e-6)
        assert located and {entry.image_index for entry in located} <= set(case["image_indices"])
        assert {entry.label for entry in located} == {classifier.classes[int(expected.argmax())]}
        for entry in (entry for entry in located if entry.mask):
            x, y, width, height = entry.box
            assert x >= 0 and y >= 0 and x + width <= 60 and y + height <= 40


def test_evaluation_rows_hold_truth_and_logits(classifier, cases):
    batches = [PassThroughCollate()(cases)]
    engine = ExamClassEvaluator(classifier, screening_task("three_class", "nasal"), device="cpu", val_data_loader=batches)
    engine.run()
    rows = engine.state.output["exams"]
    assert [(row["case_id"], row["truth"], row["site"]) for row in rows] == [("a", 2, None), ("b", 0, None)]
    alone = classifier.classify(cases[1]["images"], torch.zeros(1, 1, dtype=torch.int64)).logits[0]
    assert rows[1]["logits"] == pytest.approx(alone.tolist(), abs=1e-5)
    with pytest.raises(UserError, match=r"tells \['NOR', 'BH', 'NPC'\] apart, not \['NOR or BH', 'NPC'\]"):
        ExamClassEvaluator(classifier, screening_task("npc_vs_rest", "nasal"), device="cpu", val_data_loader=batches).run()
