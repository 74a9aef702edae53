"""Which exams a screening learns from, and how they become a batch."""

from pathlib import Path

import pytest
import torch

from scripts.datalists.datalist import Datalist
from scripts.files.errors import UserError
from scripts.loading.dataset import PassThroughCollate
from scripts.loading.exam_batches import join_images
from scripts.loading.exam_classes import ExamClassCollate, exam_class_records, screening_task


def exam(number, label, site=None):
    record = {"exam_id": f"e{number}", "patient_id": f"p{number}", "images": ["a.png"], "report": "Smooth.", "label": label}
    return {**record, "site": site} if site else record


def cases(**splits):
    return Datalist(Path("datalist.json"), "nasal", "test", splits, sha256="0" * 64)


@pytest.mark.parametrize(
    ("name", "classes"),
    [("three_class", [0, 1, 2]), ("nor_vs_rest", [0, 1, 1]), ("npc_vs_rest", [0, 0, 1])],
)
def test_of_two_classes_the_second_is_screened_for(name, classes):
    task = screening_task(name, "nasal")
    assert [task.class_of[label] for label in ("NOR", "BH", "NPC")] == classes
    with pytest.raises(UserError, match="three_class"):
        screening_task("cancer", "nasal")


def test_held_out_centres_are_met_in_the_test_alone():
    task = screening_task("npc_vs_rest", "nasal")
    records = [exam(0, "NOR", "A"), exam(1, "NPC", "A"), exam(2, "NPC", "C"), exam(3, "BH")]
    unlabelled = {key: value for key, value in exam(4, "NOR").items() if key != "label"}
    data = cases(training=[*records, unlabelled], test=records)
    assert [r["exam_id"] for r in exam_class_records(data, "training", task, ["C"])] == ["e0", "e1", "e3"]
    assert len(exam_class_records(data, "test", task, ["C"])) == 4
    with pytest.raises(UserError, match=r"no exam of class NPC outside the held-out sites \(C\)"):
        exam_class_records(cases(training=records[:1] + records[2:]), "training", task, ["C"])


def test_all_strange_labels_are_named():
    data = cases(training=[exam(0, "NOR"), exam(1, "tumour"), exam(2, "npc")])
    with pytest.raises(UserError, match=r"2 exams of training .*e1 \(tumour\), e2 \(npc\)"):
        exam_class_records(data, "training", screening_task("three_class", "nasal"))


def test_a_batch_of_exams_of_one_and_of_several_images():
    items = [
        {"images": torch.full((count, 3, 4, 4), float(count)), "record": exam(count, label), "case_id": f"e{count}", "rejected": []}
        for count, label in ((2, "NPC"), (1, "NOR"))
    ]
    broken = {"rejected": [("e9", "no readable image")]}
    batch = ExamClassCollate(screening_task("three_class", "nasal"))([items[0], broken, items[1]])
    assert batch["images"][:, 0, 0, 0].tolist() == [2, 2, 1]
    assert batch["inputs"]["image_index"].tolist() == [[0, 1], [2, -1]] and batch["inputs"]["labels"].tolist() == [2, 0]
    assert (batch["case_ids"], batch["rejected"]) == (["e2", "e1"], [("e9", "no readable image")])
    assert ExamClassCollate(screening_task("three_class", "nasal"))([broken]) == {"case_ids": [], "rejected": broken["rejected"]}
    assert PassThroughCollate()([broken, items[1]])["cases"] == [items[1]]


def test_images_are_joined_in_order():
    images, index = join_images([[torch.zeros(3, 2, 2), torch.ones(3, 2, 2)], torch.full((1, 3, 2, 2), 2.0)])
    assert images[:, 0, 0, 0].tolist() == [0, 1, 2] and index.tolist() == [[0, 1], [2, -1]]
