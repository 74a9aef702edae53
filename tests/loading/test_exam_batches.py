"""Exams to batches: what is tokenized, padded, drawn and rejected."""

import cv2
import numpy as np
import pytest
import torch

from scripts.loading import CaseDataset, ExamCollate, ExamSentencesd
from scripts.reports.tokens import TextTokenizer
from scripts.reports.tokens.text_models import train_text_model
from scripts.transforms import LoadEndoscopyd

REPORTS = [
    "Smooth nasopharynx. Septum midline. Examined after decongestion.",
    "鼻咽部光滑。",
    "Smooth nasopharynx. Impression: NPC.",
    "Impression: NPC.",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exams")
    draw = np.random.default_rng(0)
    for number in range(20):
        cv2.imwrite(str(folder / f"{number}.png"), draw.integers(60, 255, (48, 64, 3), dtype=np.uint8))
    (folder / "broken.png").write_bytes(b"no picture")
    train_text_model(REPORTS, folder / "text_model")
    return folder


def record(folder, name, images, report=REPORTS[0]):
    return {"exam_id": name, "patient_id": name, "images": [str(folder / f"{image}.png") for image in images], "report": report}


def dataset(records, subset="even", **options):
    transforms = [LoadEndoscopyd(size=32, subset=subset), ExamSentencesd("nasal", ["en", "zh"], **options)]
    return CaseDataset(records, transforms, seed=1)


def test_a_batch_of_one_image_twenty_images_a_broken_one_and_none(folder):
    records = [
        record(folder, "one", [0], REPORTS[1]),
        record(folder, "twenty", range(20)),
        record(folder, "partly", [3, "broken", 5], REPORTS[2]),
        record(folder, "none", ["broken"] * 2),
        record(folder, "silent", [1], REPORTS[3]),
    ]
    data = dataset(records)
    items = [data[index] for index in range(5)]
    batch = ExamCollate(TextTokenizer(folder / "text_model", 32))(items)
    assert batch["case_ids"] == ["one", "twenty", "partly"]
    reasons = dict(batch["rejected"])
    assert reasons.keys() == {"none", "silent"}
    assert "none of the exam's 2 images can be read" in reasons["none"] and "broken.png" in reasons["none"]
    assert "no sentence outside its impression" in reasons["silent"]
    assert [item["image_indices"] for item in items[:3]] == [[0], [0, 2, 5, 7, 10, 12, 15, 17], [0, 2]]
    assert batch["images"].shape == (11, 3, 32, 32) and batch["images"].dtype == torch.float32
    inputs = batch["inputs"]
    assert inputs["image_index"].tolist()[0] == [0] + [-1] * 7 and inputs["image_index"].tolist()[2] == [9, 10] + [-1] * 6
    assert inputs["sentence_index"].tolist() == [[0, -1, -1], [1, 2, 3], [1, -1, -1]]
    assert inputs["sentence_region"].tolist() == [[7, -1, -1], [7, 0, -1], [7, -1, -1]]
    finding = inputs["statement_id"]
    assert finding[0, 0] == finding[1, 0] == finding[2, 0] > 0 and finding[1, 1] not in (-1, finding[1, 0])
    assert finding[1, 2] == -1
    assert len(inputs["tokens"]) == 4
    unknown = TextTokenizer(folder / "text_model", 32).tokenizer.unk_token_id
    assert (inputs["tokens"] != unknown).all()
    # Chinese is read character by character: five of them, a full stop, [CLS] and [SEP].
    assert inputs["attention_mask"][0].sum() == 8


def test_training_draws_afresh_every_epoch_and_alike_every_run(folder):
    data = dataset([record(folder, "twenty", range(20))], "random", drop_chance=0.5, shuffle=True)
    first, second, again = data[0], data[1], dataset(data.data, "random", drop_chance=0.5, shuffle=True)[0]
    assert first["image_indices"] == again["image_indices"] != second["image_indices"]
    assert first["image_indices"] == sorted(first["image_indices"]) and len(set(first["image_indices"])) == 8
    assert first["sentences"] == again["sentences"]
    drawn = [tuple(sentence.text for sentence in data[epoch]["sentences"]) for epoch in range(40)]
    assert min(map(len, drawn)) == 1 and max(map(len, drawn)) == 3 and len(set(drawn)) > 6


def test_a_batch_without_any_good_exam(folder):
    assert ExamCollate(None)([dataset([record(folder, "none", ["broken"])])[0]]).keys() == {"case_ids", "rejected"}


def test_a_chance_out_of_range():
    with pytest.raises(ValueError, match="drop_chance"):
        ExamSentencesd("nasal", "en", drop_chance=1)
