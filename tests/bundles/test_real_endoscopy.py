"""The nasal bundle on real frames: a hospital's table, stills and a video; two epochs, an inference, its pictures."""

import json
import shutil

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from scripts.datalists.datalist import check_datalist, load_datalist, save_datalist
from scripts.datalists.sources import endoscopy
from scripts.predictions.predictions import read_predictions
from scripts.readers.field_of_view import find_field_of_view
from scripts.readers.frame import read_frame
from scripts.transforms import LoadEndoscopyd
from tests.bundles.commands import Bundle

NASAL = Bundle("nasal_pretraining")
NOSE = "The inferior turbinate is normal. The nasal septum is smooth. The nasal cavity is smooth."
LARYNX = {
    "seq1": "A whitish mass on the left vocal fold. The nasopharynx is smooth.",
    "seq2": "A whitish mass at the anterior commissure. The larynx is congested.",
    "seq3": "The vocal fold is rough and congested. No mass.",
    "seq4": "The larynx is congested. The nasopharynx is smooth.",
}
SPLITS = {"seq1": "train", "seq2": "train", "seq3": "val", "seq4": "test", "nose": "train"}


def lay_out_hospital(shared_data, folder):
    """Nine exams: two of each larynx sequence, and a video of a nose of two views. A sequence stands for a patient here."""
    rows = ["Exam,Patient,Report,Split"]
    for sequence, report in LARYNX.items():
        frames = sorted(p for p in (shared_data / "endoscopy" / "vocalfolds" / sequence).glob("*.png") if "label" not in p.name)
        for index, frame in enumerate(frames):
            exam = f"{sequence}-{index % 2}"
            (folder / "images" / exam).mkdir(parents=True, exist_ok=True)
            shutil.copy(frame, folder / "images" / exam / frame.name)
        rows += [f'{sequence}-{exam},{sequence},"{report}",{SPLITS[sequence]}' for exam in (0, 1)]
    nose = [cv2.imread(str(path)) for path in sorted((shared_data / "endoscopy" / "hopkins_sinus").glob("0*.jpg"))]
    blurred = cv2.GaussianBlur(nose[2], (0, 0), 40)
    (folder / "images" / "nose").mkdir()
    film = cv2.VideoWriter(str(folder / "images" / "nose" / "film.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 2, (1920, 1080))
    for frame in (nose[0], nose[0], blurred, blurred, nose[4], nose[4]):
        film.write(frame)
    film.release()
    rows.append(f'nose,nose,"{NOSE}",{SPLITS["nose"]}')
    (folder / "exams.csv").write_text("\n".join(rows) + "\n")


def hospital_datalist(shared_data, folder):
    lay_out_hospital(shared_data, folder)
    columns = {"exam_column": "Exam", "patient_column": "Patient", "report_column": "Report", "split_column": "Split"}
    splits = endoscopy.build(folder / "images", folder / "exams.csv", **columns, frames_dir=folder / "frames")
    save_datalist(folder / "datalist.json", "nasal", splits, name="real frames")
    return splits


def test_datalist_of_stills_and_a_video(shared_data, tmp_path):
    splits = hospital_datalist(shared_data, tmp_path)
    assert not check_datalist(tmp_path / "datalist.json", progress=False)
    assert {split: len(records) for split, records in splits.items()} == {"training": 5, "validation": 2, "test": 2}
    nose = next(record for record in splits["training"] if record["exam_id"] == "nose")
    # One frame a second of three; the blurred one is left out.
    assert [path.rsplit("/", 1)[-1] for path in nose["images"]] == ["0000000.png", "0000004.png"]
    assert read_frame(nose["images"][1]).shape == (1080, 1920, 3)


def test_text_burnt_into_the_surroundings_does_not_reach_the_network(shared_data, tmp_path):
    clean = cv2.imread(str(shared_data / "endoscopy" / "hopkins_sinus" / "00004584.jpg"))
    written = clean.copy()
    for place, text in (((20, 80), "DOE^JANE 1957-03-02"), ((1500, 1040), "ID 0012345"), ((30, 1040), "10:42:17")):
        cv2.putText(written, text, place, cv2.FONT_HERSHEY_SIMPLEX, 1.5, (255, 255, 255), 3)
    for name, frame in (("clean", clean), ("written", written)):
        cv2.imwrite(str(tmp_path / f"{name}.png"), frame)
    squares = [LoadEndoscopyd(size=224)({"images": [str(tmp_path / f"{name}.png")]})["images"] for name in ("clean", "written")]
    assert (clean != written).any(axis=2).sum() > 5000
    assert (squares[0] - squares[1]).abs().mean() < 0.002
    inside = find_field_of_view(np.ascontiguousarray(written[..., ::-1]))
    assert not (inside & (clean != written).any(axis=2)).any()


@pytest.mark.slow
def test_two_epochs_an_inference_and_its_pictures(shared_data, tmp_path):
    hospital_datalist(shared_data, tmp_path)
    train, out = tmp_path / "train", tmp_path / "out"
    small = ["--batch_size", 2, "--max_epochs", 2, "--widen_factor", 0.25]
    where = ["--dataset_dir", tmp_path, "--tracking_uri", f"sqlite:///{tmp_path / 'mlflow.db'}"]
    NASAL.run(("train", "phantom"), *where, *small, "--output_dir", train)
    assert not (train / "rejected.jsonl").exists() or not (train / "rejected.jsonl").read_text()
    state = torch.load(train / "checkpoint_last.pt", weights_only=True)
    assert state["iteration"] == 2 * (5 // 2)
    assert all(value.isfinite().all() for value in state["network"].values())

    exams = tmp_path / "datalist.json"
    weights = ["--checkpoint", train / "checkpoint_last.pt", "--calibration", "False"]
    NASAL.run(("inference", "phantom"), *weights, "--exams", exams, "--output_dir", out)
    records = {record["exam_id"]: record for records in load_datalist(exams).splits.values() for record in records}
    cases = {case["case_id"]: case for case in read_predictions(out)}
    assert set(cases) == set(records)
    for name, case in cases.items():
        assert len(case["images"]) == len(records[name]["images"])
        assert sum(finding.probability for finding in case["findings"][:3]) == pytest.approx(1, abs=1e-4)
        assert all(0 <= finding.image_index < len(case["images"]) for finding in case["findings"][3:])
    pictures = sorted((out / "overlays").glob("*.png"))
    assert len(pictures) == len(records)
    assert all(np.asarray(Image.open(picture)).std() > 5 for picture in pictures)
    assert json.loads((out / "predictions.jsonl").read_text().splitlines()[0])["domain"] == "nasal"
