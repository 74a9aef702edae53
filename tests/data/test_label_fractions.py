"""Nested shares of the labels."""

import pytest

from scripts.data.label_fractions import label_fraction
from scripts.errors import UserError

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


def test_bad_input_is_refused():
    with pytest.raises(UserError, match="above 0"):
        label_fraction(RECORDS, 0, 1)
    with pytest.raises(UserError, match="records 0 "):
        label_fraction([{"exam_id": "1", "label": "NOR"}], 1, 1)
