"""Nested shares of the labels; centres held out."""

from pathlib import Path

import pytest

from scripts.datalists.datalist import Datalist
from scripts.datalists.label_fractions import known_sites, label_fraction, outside_sites
from scripts.files.errors import UserError

RECORDS = [{"exam_id": str(n), "patient_id": f"p{n // 2}", "label": ("NOR", "BH", "NPC")[n // 2 % 3]} for n in range(600)]


def patients(records, label=None):
    return {record["patient_id"] for record in records if label in (None, record["label"])}


def test_shares_are_nested_stratified_and_seeded():
    few, some, whole = (label_fraction(RECORDS, fraction, 1) for fraction in (0.01, 0.1, 1.0))
    assert patients(few) < patients(some) < patients(whole)
    assert whole == RECORDS
    assert [len(patients(some, label)) for label in ("NOR", "BH", "NPC")] == [10, 10, 10]
    assert [len(patients(few, label)) for label in ("NOR", "BH", "NPC")] == [1, 1, 1]
    assert len(few) == 6  # both exams of each patient
    assert label_fraction(RECORDS[::-1], 0.1, 1)[::-1] == some
    assert patients(label_fraction(RECORDS, 0.1, 2)) != patients(some)


@pytest.mark.parametrize(("fraction", "kept"), [(0.101, 11), (0.109, 11), (0.11, 11), (0.111, 12), (0.29, 29), (0.001, 1)])
def test_a_share_that_is_no_whole_number_of_patients_is_rounded_up(fraction, kept):
    """100 patients a class."""
    chosen = label_fraction(RECORDS, fraction, 1)
    assert [len(patients(chosen, label)) for label in ("NOR", "BH", "NPC")] == [kept] * 3


def test_bad_input_is_refused():
    with pytest.raises(UserError, match="above 0"):
        label_fraction(RECORDS, 0, 1)
    with pytest.raises(UserError, match="records 0 "):
        label_fraction([{"exam_id": "1", "label": "NOR"}], 1, 1)


def test_held_out_centres_are_left_out_and_must_be_known():
    records = [{"exam_id": "1", "site": "B"}, {"exam_id": "2", "site": "A"}, {"exam_id": "3"}]
    cases = Datalist(Path("datalist.json"), "nasal", "", {"training": records, "test": [{"exam_id": "4", "site": "C"}]}, "0" * 64)
    assert known_sites(cases, ["C", "A"]) == ["A", "C"]  # one that the test split alone has is known
    assert [record["exam_id"] for record in outside_sites(cases, "training", ["A", "C"])] == ["1", "3"]
    assert outside_sites(cases, "training", []) == records
    with pytest.raises(UserError, match="held_out_sites names b, center A, which no exam comes from: it has A, B, C"):
        outside_sites(cases, "training", ["A", "center A", "b"])
    with pytest.raises(UserError, match="test holds no exam outside"):
        outside_sites(cases, "test", ["C"])
    with pytest.raises(UserError, match="must be a list"):
        known_sites(cases, "A")
