"""What phantom CT reports say against what is on the volume."""

import re

import numpy as np
import pytest

from scripts.phantoms.ct.plan import ANATOMIES, FINDINGS, SPLITS, Plan, plan_volume
from scripts.phantoms.ct.reports import write_report
from scripts.phantoms.ct.words import WORDINGS, slots
from scripts.reports.by_anatomy.reports import decompose_report
from scripts.reports.by_anatomy.table import AnatomyTable
from scripts.reports.sections import report_sections

# Written here anew and not taken from the vocabulary: how a reader recognises each finding.
WORDS = {
    "Emphysema": r"emphysem",
    "Mosaic attenuation pattern": r"mosaic",
    "Interlobular septal thickening": r"septa|septal",
    "Ground-glass opacity": r"ground.glass",
    "Consolidation": r"consolidat|airspace disease",
    "Atelectasis": r"atelecta",
    "Pulmonary fibrotic sequela": r"fibro|sequela|scarring",
    "Pleural effusion": r"pleural (or pericardial )?(effusion|fluid|space)|layering",
    "Peribronchial thickening": r"peribronchial|bronchial walls?",
    "Bronchiectasis": r"bronchiecta|dilated segmental bronchi|bronchial dilatation",
    "Lung nodule": r"(pulmonary|lung|lobe) nodul|nodul\w*( lesion)?( measuring| of)?[^.;]* lobe\b(?! of the thyroid)",
    "Tracheal secretions": r"secretion|mucus|mucoid",
    "Cardiomegaly": r"cardiomegaly|(heart|cardiac)[^.;]*(enlarge|increased)|enlarged heart|diameter of the heart",
    "Pericardial effusion": r"pericardial (or pleural )?(effusion|fluid|space)",
    "Coronary artery wall calcification": r"coronar",
    "Aortic aneurysm": r"aneurysm|aorta is dilated|diameter of the \w+ aorta",
    "Arterial wall calcification": r"(calcif|plaque|atheroma|atheroscl)[^.;]*aort|aort[^.;]*(calcif|plaque|atheroscl)",
    "Hiatal hernia": r"hernia",
    "Esophageal wall thickening": r"esophag[^.;]*thick|thick[^.;]*esophag",
    "Thyroid nodule": r"thyroid[^.;]*nodul|nodul[^.;]*thyroid",
    "Hepatic steatosis": r"steato|fatty",
    "Liver cyst": r"cyst[^.;]*(liver|hepat)|(liver|hepat)[^.;]*cyst|fluid-density[^.;]*liver",
    "Gallstones": r"gallbladder[^.;]*(stone|calcul)|(stone|calcul)[^.;]*gallbladder|gallstone|cholelith",
    "Splenic lesion": r"sple[^.;]*(lesion|hypodens)|(lesion|hypodens)[^.;]*sple",
    "Pancreatic cyst": r"pancrea[^.;]*cyst|cyst[^.;]*pancrea|fluid-density[^.;]*pancrea",
    "Adrenal nodule": r"adrenal[^.;]*(nodul|adenoma)|(nodul|adenoma)[^.;]*adrenal",
    "Kidney stone": r"(kidney|renal)[^.;]*(stone|calcul)|(stone|calcul)[^.;]*(kidney|renal)|nephrolith",
    "Renal cyst": r"(kidney|renal)[^.;]*cyst|cyst[^.;]*(kidney|renal)",
    "Gastric wall thickening": r"(gastric|stomach)[^.;]*thick|thick[^.;]*(gastric|stomach)",
    "Bowel wall thickening": r"(bowel|colon)[^.;]*thick|thick[^.;]*(bowel|colon)",
    "Vertebral compression fracture": r"fracture|lost height|loss of height|collapsed|wedge deformity|height loss",
    "Sclerotic bone lesion": r"sclero(tic|sis)|osteoblastic",
}
NEGATED = re.compile(r"\b(no|not|neither|without|free|normal|preserved)\b", re.I)


def names(label: str, text: str) -> bool:
    """Whether a text names a finding; a size's decimal point does not end a sentence."""
    return bool(re.search(WORDS[label], re.sub(r"(?<=\d)\.(?=\d)", ",", text), re.I))


def clauses(text: str) -> list[str]:
    """Statements: sentences, and parts of sentences that were joined."""
    return [part for part in re.split(r"\.(?!\d)\s*|; |, and ", text) if part.strip()]


@pytest.fixture(scope="module")
def reports() -> list[tuple]:
    out = []
    for split in SPLITS:
        for index in range(250):
            plan = plan_volume(2, split, index)
            out.append((plan, write_report(plan, index % 2 == 0, np.random.default_rng([index, len(split)]))))
    return out


def test_findings_are_stated_unless_left_out_and_never_denied(reports):
    for plan, report in reports:
        findings = report_sections(report.text)["findings"].lower()
        for finding, sentence in zip(plan.findings, report.sentences, strict=True):
            context = (finding.label, report.text)
            assert names(finding.label, sentence), (finding.label, sentence)
            # A sentence may have been joined to its neighbour.
            assert (sentence.rstrip(".").lower() in findings) == (finding.label not in report.omitted), context
            denied = "|".join(rf"\bno (\w+ )?(evidence of |sign of )?{re.escape(noun)}" for noun in WORDINGS[finding.label].denied)
            assert not re.search(denied, report.text, re.I), context


def test_findings_that_are_absent_or_left_out_are_not_stated(reports):
    for plan, report in reports:
        told = {finding.label for finding in plan.findings} - report.omitted
        for label in set(FINDINGS) - told:
            asserted = [c for c in clauses(report.text) if names(label, c) and not NEGATED.search(c)]
            # A clause on a finding that is told may hold words of another.
            other = [c for c in asserted if not any(names(present, c) for present in told)]
            assert not other, (label, other, report.text)


def test_omissions_are_as_frequent_as_said(reports):
    share = sum(len(report.omitted) for _, report in reports) / sum(len(plan.findings) for plan, _ in reports)
    assert 0.05 <= share <= 0.08


def test_reports_have_both_sections_and_the_impression_repeats_most_findings(reports):
    repeated, told = 0, 0
    for plan, report in reports:
        sections = report_sections(report.text)
        assert sections["findings"] and sections["impression"] and "{" not in report.text
        assert not re.search(r"\s\.|\.\.|  ", report.text)
        for finding in plan.findings:
            if finding.label not in report.omitted:
                told += 1
                repeated += names(finding.label, sections["impression"])
    assert 0.65 < repeated / told < 0.95


def test_every_finding_has_many_wordings_with_all_slots_filled():
    rng = np.random.default_rng(0)
    for label, wording in WORDINGS.items():
        assert len(set(wording.stated)) >= 5 and len(wording.brief) >= 2
        words = slots(Plan(label, *FINDINGS[label].places[-1], size=14.0), rng)
        for text in (*wording.stated, *wording.brief):
            filled = text.format(**words)
            assert names(label, filled), (label, filled)
    assert set(WORDINGS) == set(FINDINGS) == set(WORDS)


def test_places_of_the_report_are_those_of_the_plan(reports):
    for plan, report in reports:
        for finding, sentence in zip(plan.findings, report.sentences, strict=True):
            sides = {
                side
                for side in ("right", "left")
                if re.search(rf"\b{side}\b", sentence.replace("left anterior", "").replace("right coronary", ""), re.I)
            }
            assert sides <= {finding.side}, sentence
            if finding.anatomy == "lung" and finding.part in ("upper", "middle", "lower"):
                assert all(other not in sentence for other in {"upper", "middle", "lower"} - {finding.part}), sentence


def test_normal_organs_are_described_alone_together_or_not_at_all(reports):
    texts = [report.text for _, report in reports]
    together = [bool(re.search(r"The \w[\w ]*(, [\w ]+)* and [\w ]+ (are|show)", text)) for text in texts]
    assert 0.2 < np.mean(together) < 0.95
    spleen = [(bool(re.search("spleen|splenic", text)), plan) for (plan, _), text in zip(reports, texts, strict=True)]
    normal = [said for said, plan in spleen if all(f.anatomy != "spleen" for f in plan.findings)]
    assert 0.2 < np.mean(normal) < 0.9
    assert len(set(texts)) == len(texts)


def test_a_lexicon_takes_reports_apart(reports):
    """Of each organ: abnormal, if and only if one of its findings is told."""
    table, agree = AnatomyTable.load("wide", "ct"), []
    for plan, report in reports[::20]:
        texts = decompose_report(report.text, table)
        told = {finding.anatomy for finding in plan.findings if finding.label not in report.omitted}
        agree += [(not texts[a].startswith(f"{a} shows no significant")) == (a in told) for a in ANATOMIES]
    assert np.mean(agree) > 0.97
