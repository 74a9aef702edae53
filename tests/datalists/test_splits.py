from collections import Counter

import numpy as np
import pytest

from scripts.datalists.splits import split_by_patient
from scripts.files.errors import UserError

SHARES = {"training": 0.7, "validation": 0.1, "test": 0.2}


def cohort(patients: int, seed: int = 0) -> list[dict]:
    """Records of patients with 1 to 5 each; a rare label in a tenth of the patients."""
    rng = np.random.default_rng(seed)
    records = []
    for patient in range(patients):
        label = "rare" if patient % 10 == 0 else "common"
        records += [{"patient_id": f"p{patient}", "label": label, "n": n} for n in range(rng.integers(1, 6))]
    return [records[i] for i in rng.permutation(len(records))]


def patients(records: list[dict]) -> set[str]:
    return {record["patient_id"] for record in records}


def test_no_patient_is_in_two_splits_and_no_record_is_lost():
    records = cohort(200)
    splits = split_by_patient(records, SHARES, seed=3)
    assert list(splits) == list(SHARES)
    assert sum(len(patients(part)) for part in splits.values()) == 200
    assert sum(map(len, splits.values())) == len(records)
    for part in splits.values():
        assert [records.index(record) for record in part] == sorted(records.index(record) for record in part)


@pytest.mark.parametrize("seed", range(5))
def test_shares_are_met_within_the_largest_patient(seed):
    records = cohort(200, seed)
    splits = split_by_patient(records, SHARES, seed=seed)
    for name, share in SHARES.items():
        assert abs(len(splits[name]) - share * len(records)) <= 5


def test_patients_with_many_records_are_shared_out_too():
    records = cohort(400)
    splits = split_by_patient(records, SHARES, seed=1)
    sizes = Counter(record["patient_id"] for record in records)
    large = {patient for patient, size in sizes.items() if size == 5}
    for name, share in SHARES.items():
        assert len(large & patients(splits[name])) == pytest.approx(share * len(large), abs=3)


def test_strata_are_shared_out_alike():
    records = cohort(300)
    splits = split_by_patient(records, SHARES, seed=1, stratify=lambda record: record["label"])
    total = Counter(record["label"] for record in records)
    for name, share in SHARES.items():
        held = Counter(record["label"] for record in splits[name])
        for label, count in total.items():
            assert abs(held[label] - share * count) <= 5, (name, label)


def test_the_seed_decides_and_the_order_of_records_does_not():
    records = cohort(100)
    first = split_by_patient(records, SHARES, seed=1)
    assert split_by_patient(records, SHARES, seed=1) == first
    turned = split_by_patient(records[::-1], SHARES, seed=1)
    assert {name: patients(part) for name, part in turned.items()} == {n: patients(p) for n, p in first.items()}
    assert patients(split_by_patient(records, SHARES, seed=2)["test"]) != patients(first["test"])


def test_every_split_gets_a_patient_however_small_its_share():
    records = [{"patient_id": f"p{n}"} for n in range(3)]
    splits = split_by_patient(records, {"training": 0.98, "validation": 0.01, "test": 0.01}, seed=1)
    assert [len(part) for part in splits.values()] == [1, 1, 1]


def test_ten_equal_patients_are_shared_out_exactly():
    records = [{"patient_id": f"p{n}"} for n in range(10)]
    splits = split_by_patient(records, {"training": 0.8, "validation": 0.1, "test": 0.1}, seed=1)
    assert [len(part) for part in splits.values()] == [8, 1, 1]


def test_too_few_patients_and_records_without_one_are_refused():
    with pytest.raises(UserError, match="2 patients into 3 splits"):
        split_by_patient([{"patient_id": "a"}, {"patient_id": "b"}, {"patient_id": "a"}], SHARES, seed=1)
    with pytest.raises(UserError, match="records 1, 2 "):
        split_by_patient([{"patient_id": "a"}, {"patient_id": ""}, {}], SHARES, seed=1)


@pytest.mark.parametrize("fractions", [{}, {"a": 0.5}, {"a": 1.2, "b": -0.2}, {"a": 1.0, "b": 0.0}])
def test_fractions_that_are_none(fractions):
    with pytest.raises(ValueError):
        split_by_patient(cohort(10), fractions, seed=1)
