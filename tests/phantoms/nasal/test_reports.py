"""What phantom exam reports say against what is planned."""

import re

import numpy as np
import pytest

from scripts.phantoms.nasal.plan import CLASSES, CO_FINDINGS, FINDINGS, REGIONS, ExamPlan, plan_exam
from scripts.phantoms.nasal.reports import Report, write_report
from scripts.phantoms.nasal.words import prompt_table

# Written here anew and not taken from the vocabulary: how a reader recognises each finding and each region.
WORDS = {
    "adenoid hyperplasia": r"adenoid (hyperplasia|hypertrophy|tissue)|lymphoid (tissue|hyperplasia)",
    "adenoid obstruction": r"adenoid.*(block|protrude)|obstructed by adenoid",
    "nasopharyngeal mass": r"mass|growth|neoplasm|tumour|ulcer|bulge|swelling of the (right|left)",
    "obliterated fossa": r"obliterat|filled|full|blunted|shallow",
    "swollen torus": r"swollen|swelling|thickened",
    "septal deviation": r"deviat|bows",
    "septal spur": r"spur|ridge",
    "septal perforation": r"perforat|hole",
    "bleeding point": r"bleeding|blood",
    "turbinate hypertrophy": r"hypertroph|enlarged",
    "allergic rhinitis": r"pale|boggy",
    "rhinitis": r"congest|red swollen",
    "mulberry turbinate": r"mulberry",
    "polypoid middle turbinate": r"polypoid",
    "paradoxical middle turbinate": r"paradoxical|reversed",
    "concha bullosa": r"ballooned|concha bullosa",
    "nasal polyp": r"polyp",
    "sinusitis": r"pus|purulent",
    "mucosal oedema": r"oedema|swollen mucosa",
    "secretions": r"mucus|secretions",
    "crusts": r"crust",
    "choanal polyp": r"polyp",
    "post-radiotherapy change": r"radiotherapy|irradiated",
}
PLACES = {
    "septum": r"septum",
    "inferior turbinate": r"inferior (and middle )?(turbinate|concha)|turbinates normal, inferior",
    "middle turbinate": r"middle (turbinate|concha)|turbinates normal, inferior and middle",
    "middle meatus": r"middle meatus",
    "olfactory cleft": r"olfactory (cleft|fissure)",
    "inferior meatus": r"inferior meatus|nasal floor",
    "choana": r"choana|posterior naris",
    "nasopharynx": r"nasopharynx|postnasal space",
    "torus tubarius": r"torus|eustachian cushion",
    "fossa of rosenmueller": r"rosenm|pharyngeal recess",
}
DIAGNOSIS = r"carcinoma|malignan|NPC|benign|Normal nasopharynx"


@pytest.fixture(scope="module")
def reports() -> list[tuple[ExamPlan, Report]]:
    plans = [plan_exam(2, split, index) for split in ("training", "test") for index in range(600)]
    return [(plan, write_report(plan, np.random.default_rng(number))) for number, plan in enumerate(plans)]


def sentences_of(text: str) -> list[str]:
    body = text.split(" Impression: ")[0]
    return [part.strip() for part in re.findall(r"[^.]+\.", body)]


def test_each_finding_is_stated_in_a_sentence_of_the_report_that_names_its_region_and_side(reports):
    for plan, report in reports:
        sentences = sentences_of(report.text)
        for finding, sentence in zip(plan.findings, report.sentences, strict=True):
            if sentence is None:
                continue
            assert sentence in sentences, report.text
            assert re.search(WORDS[finding.label], sentence, re.I), (finding.label, sentence)
            assert re.search(PLACES[finding.region], sentence, re.I), (finding.region, sentence)
            if finding.side:
                # "Cleft" is no side.
                named = set(re.findall(r"\b(right|left)\b", sentence))
                assert named == {finding.side}, sentence


def test_every_finding_is_told_in_at_least_three_ways(reports):
    ways: dict[str, set[str]] = {}
    for plan, report in reports:
        for finding, sentence in zip(plan.findings, report.sentences, strict=True):
            if sentence:
                ways.setdefault(finding.label, set()).add(re.sub("right|left", "", sentence))
    assert set(ways) == set(FINDINGS) and min(map(len, ways.values())) >= 3


def test_only_co_findings_are_left_out_and_then_nothing_is_said_of_them(reports):
    left_out = 0
    for plan, report in reports:
        for finding, sentence in zip(plan.findings, report.sentences, strict=True):
            if sentence is None:
                left_out += 1
                assert finding.label in CO_FINDINGS
                assert finding.label.capitalize() not in report.text.split("Impression:")[-1]
    assert 0.02 < left_out / sum(f.label in CO_FINDINGS for plan, _ in reports for f in plan.findings) < 0.12


def test_a_region_with_a_finding_is_called_normal_at_most_on_the_other_side(reports):
    other_sides = 0
    for plan, report in reports:
        for sentence in set(sentences_of(report.text)) - {stated for stated in report.sentences if stated}:
            for finding in plan.findings:
                if re.search(PLACES[finding.region], sentence, re.I):
                    named = set(re.findall(r"\b(right|left)\b", sentence.lower()))
                    assert named == {"right", "left"} - {finding.side} and finding.side, report.text
                    other_sides += 1
    assert other_sides > 50


def test_reports_describe_regions_without_image_and_leave_out_imaged_ones(reports):
    described = [{region for region in REGIONS if re.search(PLACES[region], report.text, re.I)} for _, report in reports]
    imaged = [{view.region for view in plan.views} for plan, _ in reports]
    assert np.mean([bool(told - seen) for told, seen in zip(described, imaged, strict=True)]) > 0.5
    assert np.mean([bool(seen - told) for told, seen in zip(described, imaged, strict=True)]) > 0.5
    assert all(told for told in described)


def test_the_impression_names_the_class_and_the_findings_do_not(reports):
    with_impression = [(plan, report.text) for plan, report in reports if "Impression:" in report.text]
    assert 0.85 < len(with_impression) / len(reports) < 0.95
    for plan, text in with_impression:
        impression = text.split("Impression:")[1]
        assert bool(re.search("carcinoma|malignan|NPC", impression)) == (plan.label == "NPC")
        assert bool(re.search("denoid|lymphoid", impression)) == (plan.label == "BH")
        if any(finding.region == "nasopharynx" for finding in plan.findings):
            assert not re.search("Normal|No abnormality", impression), text
    assert not any(re.search(DIAGNOSIS, " ".join(sentences_of(report.text))) for _, report in reports)


def test_reports_differ(reports):
    assert len({report.text for _, report in reports}) > 0.98 * len(reports)


def test_prompts_ask_in_the_reports_words():
    table = prompt_table()
    assert list(table) == [*CLASSES, *FINDINGS]
    for name, prompts in table.items():
        assert len(prompts["positive"]) >= 3 and len(prompts["negative"]) >= 3
        assert len(set(prompts["positive"])) == len(prompts["positive"])
        assert not set(prompts["positive"]) & set(prompts["negative"])
        texts = prompts["positive"] + prompts["negative"]
        assert all(text.endswith(".") and text[0].isupper() and "{" not in text for text in texts)
        if name in FINDINGS:
            assert all(re.search(WORDS[name], text, re.I) for text in prompts["positive"])
            assert all(any(re.search(PLACES[r], text, re.I) for r in FINDINGS[name]) for text in texts)
