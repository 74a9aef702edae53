"""What pages hold, draw and refuse to send: no server needed."""

import pytest

from integrations.label_studio.answers.answer import Answer, Labels
from integrations.label_studio.answers.results import (
    brush_item,
    choices_item,
    polygon_items,
    rectangle_item,
)
from integrations.label_studio.errors import LabelStudioError
from integrations.label_studio.pages import page_of
from integrations.label_studio.pages.drawing import NO_REPORT, sentence_with
from integrations.label_studio.pages.exam import attention_of
from integrations.label_studio.pages.parts import labels_in
from integrations.label_studio.pages.validation import PredictionChecker
from scripts.cases.domain import DomainError
from scripts.cases.finding import Finding
from tests.integrations.conftest import blob

LABELS = Labels(("Mass", 'Nodule < 3 cm & "more"'), ("Mass", "Effusion"))
SIZE = (97, 101)


def finding(label: str, index: int | None, probability: float | None = 0.5, **more) -> Finding:
    return Finding(label, probability=probability, confidence=0.5, image_index=index, **more)


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
