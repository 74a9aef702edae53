"""Lines of an exam's tables, against what can be said by hand."""

import numpy as np
import pytest

from scripts.engines.exam_rows import (
    PlacedFinding,
    diagnosis_row,
    label_rows,
    localization_row,
    selection_rows,
    sentence_rows,
    stated_findings,
    view_of,
)
from scripts.inferers import ExamCalibration
from scripts.kinds.exam import finding_mask
from scripts.predictions.masks import write_mask

WHO = {"case_id": "e1", "patient_id": "p1"}
RECORD = {
    "label": "NPC",
    "findings": [
        {"image_index": 2, "label": "mass", "text": "A mass fills the fossa."},
        {"image_index": 5, "label": "mass", "text": "A mass fills the fossa."},
        {"image_index": 0, "label": "polyp", "text": "A polyp."},
        {"image_index": 4, "label": "crusts"},
    ],
}
PLACES = [2, 4, 5]  # images 0, 1 and 3 were not seen


def test_a_sentence_is_right_about_every_image_that_shows_its_finding():
    (stated,) = stated_findings(RECORD, PLACES)
    assert stated == ("A mass fills the fossa.", "mass", [0, 1], [0, 2])
    (hit,) = selection_rows(WHO, [stated], np.array([[0.2, 0.1, 0.7]]), {0: 0.01, 1: 0.21})
    assert (hit["hit"], hit["size"]) == (1, "large") and hit["chance"] == pytest.approx(2 / 3)
    (miss,) = selection_rows(WHO, [stated], np.array([[0.2, 0.5, 0.3]]), {})
    assert (miss["hit"], miss["size"]) == (0, None)


def test_sentences_without_a_region_on_an_image_have_no_row():
    told = [("The septum is straight.", "septum"), ("Follow-up in a year.", None), ("The choana is open.", "choana")]
    weights = np.array([[0.6, 0.4], [0.5, 0.5], [0.1, 0.9]])
    rows = sentence_rows(WHO, told, weights, ["septum", "nasopharynx"])
    assert [(row["text"], row["hit"], row["chance"]) for row in rows] == [("The septum is straight.", 1, 0.5)]


def test_localization_in_native_pixels(tmp_path):
    truth = np.zeros((40, 60), bool)
    truth[10:20, 20:40] = True
    write_mask(tmp_path / "m.png", truth)
    assert np.array_equal(finding_mask({"mask": str(tmp_path / "m.png"), "box": [0, 0, 1, 1]}, truth.shape), truth)
    assert np.array_equal(finding_mask({"box": [20, 10, 20, 10]}, truth.shape), truth)
    finding = {"label": "mass", "image_index": 2}
    right = localization_row(WHO, finding, PlacedFinding(0, 0, truth, truth.astype(np.float32)), 0.9, ExamCalibration())
    assert (right["pointing"], right["miou"], right["region_iou"], right["regions"]) == (1, 1, 1, 1)
    assert right["size"] == "medium" and right["area_fraction"] == pytest.approx(200 / 2400)
    wrong = localization_row(WHO, finding, PlacedFinding(0, 0, truth, np.flip(truth, 0) * 1.0), 0.9, ExamCalibration())
    assert (wrong["pointing"], wrong["region_iou"]) == (0, 0) and wrong["cnr"] < 0
    assert right["seen"] and wrong["seen"]


def test_a_finding_outside_the_view_is_a_miss():
    truth, heat = np.zeros((40, 60), bool), np.random.default_rng(0).random((40, 60))
    truth[:10, :10], heat[:, :20] = True, np.nan
    row = localization_row(WHO, {"label": "mass", "image_index": 2}, PlacedFinding(0, 0, truth, heat), 0.9, ExamCalibration())
    assert not row["seen"]
    assert [row[measure] for measure in ("pointing", "cnr", "miou", "mdice", "region_iou")] == [0] * 5


def test_labels_are_known_only_where_findings_are():
    labels, scores = ["mass", "septal spur"], [2.0, -1.0]
    rows = label_rows(WHO, RECORD, labels, scores, ExamCalibration(slopes={"mass": 0.0}, offsets={"mass": 0.0}))
    assert [row["truth"] for row in rows] == [1, 0]
    assert [row["calibrated"] for row in rows] == pytest.approx([0.5, 1 / (1 + np.e)])
    assert [row["probability"] for row in rows] == pytest.approx([1 / (1 + np.exp(-score)) for score in scores])
    assert label_rows(WHO, {}, labels, scores, ExamCalibration()) == []


def test_a_class_that_was_not_asked_for_is_not_known():
    assert diagnosis_row(WHO, RECORD, ["NOR", "NPC"], np.array([0.3, 0.7])) == {**WHO, "truth": "NPC", "NOR": 0.3, "NPC": 0.7}
    assert diagnosis_row(WHO, {"label": "other"}, ["NOR", "NPC"], np.array([0.3, 0.7]))["truth"] is None


def test_a_finding_is_judged_on_an_image_of_its_sentence_s_region_or_of_another():
    told = [("The septum is straight.", "septum"), ("The right fossa is obliterated.", "fossa of rosenmueller")]
    regions = ["fossa of rosenmueller", "nasopharynx", None]

    def view(index, text="The right fossa is obliterated."):
        return view_of({"image_index": index, "text": text}, told, regions)

    assert [view(0), view(1), view(2)] == ["own_view", "other_view", ""]
    assert view(0, None) == view(0, "Something else.") == view_of({"image_index": 0}, told, ()) == ""
