"""Findings as Label Studio's items and back, predictions checked before they go: no server needed."""

import numpy as np
import pytest

from integrations.label_studio.answers.answer import Answer, Labels
from integrations.label_studio.answers.results import (
    box_of,
    brush_item,
    choices_item,
    mask_of,
    polygon_items,
    rectangle_item,
    same_place,
)
from integrations.label_studio.answers.validation import PredictionChecker
from integrations.label_studio.errors import LabelStudioError
from integrations.label_studio.pages import page_of
from integrations.label_studio.pages.drawing import NO_REPORT, sentence_with
from integrations.label_studio.pages.exam import attention_of
from integrations.label_studio.pages.parts import labels_in
from integrations.label_studio.workspace import check_project
from scripts.cases.domain import DomainError
from scripts.cases.finding import Finding
from tests.integrations.conftest import blob

LABELS = Labels(("Mass", 'Nodule < 3 cm & "more"'), ("Mass", "Effusion"))
SIZE = (97, 101)


def finding(label: str, index: int | None, probability: float | None = 0.5, **more) -> Finding:
    return Finding(label, probability=probability, confidence=0.5, image_index=index, **more)


@pytest.mark.parametrize("height, width", [(1, 1), (7, 3), (101, 97), (257, 515)])
def test_masks_survive_exactly(height, width):
    random = np.random.default_rng(height)
    for mask in (random.random((height, width)) > 0.4, np.ones((height, width), bool)):
        if mask.any():
            assert np.array_equal(mask_of(brush_item(mask, "Mass", region="r")), mask)


def test_an_empty_mask_is_refused():
    with pytest.raises(ValueError, match="cannot be drawn"):
        brush_item(np.zeros((4, 4), bool), "Mass", region="r")


def test_boxes_survive_within_a_hundredth_of_a_pixel():
    box = [10.25, 0, 30.5, 101]
    item = rectangle_item(box, SIZE, "Mass", region="r")
    assert np.allclose(box_of(item), box, atol=0.01)
    assert mask_of(rectangle_item([10, 20, 30, 40], SIZE, "Mass", region="r")).sum() == 1200


def test_a_turned_rectangle_gives_the_box_around_it():
    item = rectangle_item([40, 40, 20, 10], (100, 200), "Mass", region="r")
    item["value"]["rotation"] = 90
    assert np.allclose(box_of(item), [30, 40, 10, 20])
    rows, columns = np.nonzero(mask_of(item))
    assert abs(columns.min() - 30) <= 1 and abs(rows.max() - 59) <= 1


def test_polygons_follow_the_mask():
    mask = blob(101, 97, 3)
    (item,) = polygon_items(mask, "Mass", region="r")
    back = mask_of(item)
    assert (back & mask).sum() / (back | mask).sum() > 0.97 and item["id"].startswith("r-")


def test_a_mask_of_another_size_is_told():
    item = brush_item(blob(30, 40, 0), "Mass", region="r7") | {"original_width": 41}
    with pytest.raises(LabelStudioError, match=r"region r7.*41 x 30"):
        mask_of(item)


def test_half_a_pixel_is_the_same_place():
    one = rectangle_item([10, 10, 20, 20], SIZE, "Mass", region="r")
    assert same_place(one, rectangle_item([10.4, 10, 20, 20], SIZE, "Mass", region="r"))
    assert not same_place(one, rectangle_item([10.6, 10, 20, 20], SIZE, "Mass", region="r"))
    assert not same_place(one, one | {"item_index": 1})
    mask = blob(101, 97, 0)
    other = mask.copy()
    other[50, 0] ^= True
    assert not same_place(brush_item(mask, "Mass", region="r"), brush_item(other, "Mass", region="r"))


def test_configurations_hold_their_labels_and_grow():
    for page in map(page_of, ("cxr", "nasal")):
        xml = page.configuration(LABELS)
        assert labels_in(xml) == LABELS
        assert labels_in(page.configuration(labels_in(xml) | Labels(("New",), ()))).regions == (*LABELS.regions, "New")
    assert labels_in("<View/>") == labels_in("not xml") == Labels()
    with pytest.raises(LabelStudioError, match="no label to choose"):
        page_of("cxr").configuration(Labels())


def spoiled(**value) -> dict:
    item = rectangle_item([1, 2, 30, 40], SIZE, "Mass", region="r", score=0.5)
    return item | {"value": item["value"] | value}


@pytest.mark.parametrize(
    "item, reason",
    [
        (spoiled(x=-3), "reaches from"),
        (spoiled(width=99.5), "reaches from"),
        (spoiled(height=0), "no area"),
        (spoiled(y=float("nan")), "not finite"),
        (spoiled(rectanglelabels=["Unknown"]), "Unknown"),
        (spoiled() | {"score": 1.5}, "score 1.5"),
        (spoiled() | {"item_index": 1}, "image 1 is not among the 1"),
        (spoiled() | {"original_width": 98}, "drawn on 98 x 101"),
        (spoiled() | {"from_name": "nothing"}, "nothing"),
        (brush_item(blob(30, 40, 0), "Mass", region="r") | {"original_width": 97, "original_height": 101}, "1,200 pixels"),
        (polygon_items(blob(101, 97, 0), "Mass", region="r")[0] | {"value": {"points": [[0, 0], [1, 1]]}}, "2 corners"),
        ({"id": "s", "type": "labels", "value": {"start": 3, "end": 99, "text": "x"}}, "not within the report's 8"),
        ({"id": "s", "type": "labels", "value": {"start": 0, "end": 3, "text": "xyz"}}, "not the text"),
    ],
)
def test_what_the_page_would_hide_is_found(item, reason):
    checker = PredictionChecker(page_of("cxr").configuration(LABELS))
    reasons = checker.faults({"model_version": "m", "score": 0.5, "result": [item]}, [SIZE], "A report"[:8])
    assert len(reasons) >= 1 and reason in " ".join(reasons)


def test_sound_predictions_pass():
    checker = PredictionChecker(page_of("cxr").configuration(LABELS))
    result = [spoiled(), brush_item(blob(101, 97, 0), "Mass", region="m"), choices_item("findings", ["Effusion"])]
    assert checker.faults({"model_version": "m", "score": 0.0, "result": result}, [SIZE]) == []


@pytest.mark.parametrize(
    "report, phrase, sentence",
    [
        ("No effusion. A Round\nmass is seen. Rest normal.", "round mass", "A Round\nmass is seen."),
        ("Mass of 3.5 cm. Normal.", "mass", "Mass of 3.5 cm."),
        ("FINDINGS\n\nround mass", "round mass", "round mass"),
        ("Massive effusion.", "mass", None),
        (NO_REPORT, "mass", None),
    ],
)
def test_the_sentence_that_holds_a_phrase(report, phrase, sentence):
    span = sentence_with(report, phrase)
    assert (span and report[slice(*span)]) == sentence


def test_a_finding_whose_phrase_the_report_lacks_is_linked_by_its_label():
    case = {"findings": [finding("Mass", 0, text="round opacity", box=[1, 2, 3, 4])]}
    items = page_of("cxr").items(case, [SIZE], "No effusion. A mass is seen.", "box")
    assert [item["value"]["text"] for item in items if item["type"] == "labels"] == ["A mass is seen."]
    assert [item["to_id"] for item in items if item["type"] == "relation"] == ["finding-0"]


def test_an_exams_labels_and_attention():
    findings = [finding("NOR", None, 0.2), finding("NPC", None, 0.8), finding("mass", 2, 0.6), finding("pus", 0, 0.9)]
    assert page_of("nasal").labels_of([{"findings": findings}]) == Labels(("mass", "pus"), ("NOR", "NPC"))
    assert page_of("nasal").labels_of([{"findings": [*findings, finding("NPC", 1)]}]).regions == ("mass", "pus", "NPC", "NOR")
    assert attention_of({"findings": findings}) == "Look first at image 1 (pus 0.90), then 3 (mass 0.60)"


def test_everything_is_added_on_an_empty_page():
    items = [rectangle_item([1, 2, 3, 4], SIZE, "Mass", region="x"), choices_item("findings", ["Effusion"])]
    judged = page_of("cxr").judgements(Answer(items, None, [finding("Mass", 0)]))
    assert [(one.label, one.action) for one in judged] == [("Mass", "added"), ("Effusion", "added")]


def test_a_region_without_label_says_nothing():
    item = rectangle_item([1, 2, 3, 4], SIZE, "Mass", region="x")
    del item["value"]["rectanglelabels"]
    assert page_of("nasal").judgements(Answer([item], [])) == []


@pytest.mark.parametrize("domain", ["fundus_of_nobody", "mri", ""])
def test_the_page_of_an_unknown_domain_names_the_known_ones(domain):
    with pytest.raises(DomainError, match=r"unknown domain.*known: ct, cxr, nasal"):
        page_of(domain)


@pytest.mark.parametrize("name", ["ab", "a/b", "../..", "a" * 51, "-abc", ""])
def test_project_names_that_are_no_folders(name):
    with pytest.raises(LabelStudioError, match="3 to 50"):
        check_project(name)
