"""What phantom reports say against what is on the film."""

import re

import numpy as np
import pytest

from scripts.phantoms.cxr.exposure import Technique
from scripts.phantoms.cxr.plan import LABELS, UNSEEN_PAIRS, Plan, plan_film
from scripts.phantoms.cxr.reports import write_report
from scripts.phantoms.cxr.words import prompt_table

# Written here anew and not taken from the vocabulary: how a reader recognises each finding.
WORDS = {
    "consolidation": r"consolidation|airspace opacity|infiltrate",
    "pleural effusion": r"effusion|pleural fluid",
    "pneumothorax": r"pneumothorax",
    "atelectasis": r"atelectasis|collapse",
    "nodule": r"nodule|nodular",
    "mass": r"\bmass\b",
    "cardiomegaly": r"cardiomegaly|enlarged heart|enlarged cardiac|cardiac enlargement",
    "pulmonary edema": r"edema",
    "reticular opacity": r"reticul|interstitial|fibrosis",
    "hilar enlargement": r"hilar (enlargement|prominence|fullness|lymphadenopathy)",
}
NEGATION = re.compile(r"\b(no|neither|without|not)\b", re.I)
DOUBT = re.compile(r"cannot be", re.I)
PLACES = {"upper": r"upper", "middle": r"mid(dle)?", "lower": r"lower|lung base|basal"}


def sentences(report: str) -> list[str]:
    body = report.replace("FINDINGS:", "").replace("IMPRESSION:", "")
    return [part.strip() for part in body.split(".") if part.strip()]


@pytest.fixture(scope="module")
def reports() -> list[tuple[str, int, list[Plan], object]]:
    out = []
    for split in ("training", "validation", "test"):
        for index in range(500):
            rng = np.random.default_rng(index)
            plans = plan_film(2, split, index)
            shares = [float(np.exp(rng.uniform(np.log(0.003), np.log(0.15)))) for _ in plans]
            out.append((split, index, plans, write_report(plans, Technique.draw(rng), shares, rng)))
    return out


def test_findings_are_stated_unless_omitted_and_denied_only_when_absent(reports):
    for _, index, plans, report in reports:
        present = {plan.label for plan in plans}
        for label, words in WORDS.items():
            mentions = [s for s in sentences(report.text) if re.search(words, s, re.I)]
            denied = [s for s in mentions if NEGATION.search(s)]
            stated = [s for s in mentions if not NEGATION.search(s) and not DOUBT.search(s)]
            context = (index, label, report.text)
            if label in present:
                assert not denied, context
                assert bool(stated) == (label not in report.omitted), context
            else:
                assert not stated, context


def test_omissions_are_as_frequent_as_said(reports):
    planned = sum(len(plans) for _, _, plans, _ in reports)
    share = sum(len(report.omitted) for *_, report in reports) / planned
    assert 0.05 <= share <= 0.10


def test_normal_sentences_are_not_said_of_films_that_contradict_them(reports):
    for _, _, plans, report in reports:
        present = {plan.label for plan in plans}
        if "heart size is normal" in report.text.lower():
            assert "cardiomegaly" not in present
        if "lungs are clear" in report.text.lower():
            assert not present & {
                "consolidation",
                "atelectasis",
                "nodule",
                "mass",
                "pulmonary edema",
                "reticular opacity",
            }
        if "No acute" in report.text or "Normal chest" in report.text:
            assert not present


def test_reports_have_both_headings_and_three_to_eight_sentences(reports):
    for *_, report in reports:
        assert report.text.startswith("FINDINGS: ") and " IMPRESSION: " in report.text
        assert 3 <= len(sentences(report.text)) <= 8, report.text
    assert len({report.text for *_, report in reports}) > 0.95 * len(reports)


def test_phrases_name_place_and_finding_without_denying(reports):
    for _, _, plans, report in reports:
        for plan, phrase in zip(plans, report.phrases, strict=True):
            assert re.search(WORDS[plan.label], phrase), phrase
            assert not NEGATION.search(phrase)
            if plan.side in ("right", "left"):
                assert plan.side in phrase and ({"right": "left", "left": "right"}[plan.side] not in phrase)
            if plan.zone in PLACES and plan.label not in ("pleural effusion", "pneumothorax"):
                assert re.search(PLACES[plan.zone], phrase), phrase
                assert not any(re.search(words, phrase) for zone, words in PLACES.items() if zone != plan.zone), phrase


def test_unseen_pairs_are_never_written_outside_the_test_split(reports):
    found = {"training": 0, "validation": 0, "test": 0}
    for split, _, _, report in reports:
        for clause in re.split(r"[.,]| and ", report.text):
            for label, (side, zone) in UNSEEN_PAIRS.items():
                if re.search(WORDS[label], clause, re.I) and side in clause.lower() and re.search(PLACES[zone], clause, re.I):
                    found[split] += 1
    assert found["training"] == found["validation"] == 0
    assert found["test"] > 20


def test_prompts_ask_in_the_reports_words():
    table = prompt_table()
    assert list(table) == list(LABELS)
    for label, prompts in table.items():
        assert len(prompts["positive"]) >= 6 and len(prompts["negative"]) >= 3
        assert len(set(prompts["positive"])) == len(prompts["positive"])
        assert all(re.search(WORDS[label], text) and not NEGATION.search(text) for text in prompts["positive"])
        assert all(NEGATION.search(text) or "normal" in text for text in prompts["negative"])
