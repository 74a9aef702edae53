"""Reports of every domain as statements."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.cases.domain import read_domain
from scripts.reports import read_report
from scripts.reports.statements import Statement

ROOT = Path(__file__).parents[2]


def told(text, domain):
    return [(statement.region, statement.polarity, statement.findings) for statement in read_report(text, domain)]


def test_a_film():
    report = "FINDINGS: Heart size is normal. Small left effusion. No pneumothorax.\nIMPRESSION: Possible pneumonia."
    statements = read_report(report, "cxr")
    assert statements[1] == Statement("Small left effusion.", "present")
    assert [one.polarity for one in statements] == ["normal", "present", "negated", "uncertain"]
    assert [one.normal for one in statements] == [True, False, True, False]


@pytest.mark.parametrize(
    "report",
    ["Smooth nasopharynx. Polyp in the left middle meatus. Impression: polyp.", "鼻咽部光滑。左侧中鼻道息肉。印象：息肉。"],  # noqa: RUF001
)
def test_an_exam_in_either_language(report):
    said = [("nasopharynx", "normal", ()), ("middle meatus", "present", ("polyp",)), (None, "present", ("polyp",))]
    assert told(report, "nasal") == said
    regions = read_domain("nasal").regions
    assert [one.region_index for one in read_report(report, "nasal")] == [regions.index("nasopharynx"), 3, -1]


def test_a_volume_is_told_part_by_part():
    report = "FINDINGS: Emphysema in both lungs. The liver is normal. Stones in the gallbladder. Please call."
    said = told(report, "ct")
    assert said == [
        ("lung", "present", ()),
        ("liver", "normal", ()),
        ("gallbladder", "present", ()),
        (None, None, ()),
    ]
    assert read_report(report, "ct")[0].text == "Emphysema in both lungs."


def test_a_report_without_a_sentence_says_nothing():
    assert [read_report(" \n", domain) for domain in ("cxr", "nasal", "ct")] == [[], [], []]


def test_no_tensor_library_is_loaded_to_read_reports():
    """A command that moves text or JSON starts quickly only without PyTorch and MONAI."""
    code = (
        "import sys, json, scripts.reports, scripts.reports.by_anatomy, scripts.reports.exams, scripts.reports.published\n"
        "scripts.reports.read_report('Normal.', 'ct')\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"torch", "monai", "transformers", "ignite"} & set(json.loads(done.stdout))
