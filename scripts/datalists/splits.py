"""Splitting records so that no patient is on two sides."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

import numpy as np

from scripts.files.errors import UserError


def split_by_patient(
    records: Sequence[dict],
    fractions: dict[str, float],
    seed: int,
    stratify: Callable[[dict], str] | None = None,
) -> dict[str, list[dict]]:
    """Split records into the given fractions, all of a patient's records together, alike in their strata.

        fractions = {"training": 0.8, "validation": 0.1, "test": 0.1}
        splits = split_by_patient(records, fractions, seed=1, stratify=lambda record: record["label"])

    Greedy: patients are shuffled by the seed and taken largest first; each goes to the split that it brings closest to
    its share, the distance being the sum over strata of (records there - records wanted)^2 / records wanted. This is
    the idea of scikit-learn's `StratifiedGroupKFold`, which makes folds of one size only; here sizes are free. Every
    split gets at least one patient. The same records in any order and the same seed give the same patients; each split
    keeps the order of the records.

    Args:
        records: each with a `patient_id`.
        fractions: share of the records by split, each above 0, together 1.
        seed: of the shuffle.
        stratify: stratum of a record, whose shares the splits should all have; None for one stratum.

    Returns:
        records by split, in the order of `fractions`.

    Raises:
        UserError: records without patient (all positions are given), or fewer patients than splits.
        ValueError: fractions that are not above 0 or do not add up to 1.
    """
    if not fractions or min(fractions.values()) <= 0 or not math.isclose(sum(fractions.values()), 1, abs_tol=1e-6):
        raise ValueError(f"fractions must each be above 0 and add up to 1, got {fractions}")
    nameless = [index for index, record in enumerate(records) if not record.get("patient_id")]
    if nameless:
        positions = ", ".join(map(str, nameless))
        raise UserError(f"cannot split by patient: records {positions} (counted from 0) have no patient_id; add it")
    strata_of: dict[str, Counter] = defaultdict(Counter)
    for record in records:
        strata_of[record["patient_id"]][stratify(record) if stratify else ""] += 1
    if len(strata_of) < len(fractions):
        raise UserError(
            f"cannot split {len(strata_of)} patients into {len(fractions)} splits ({', '.join(fractions)}): "
            "add patients or ask for fewer splits"
        )
    home = _assign(strata_of, list(fractions.values()), seed)
    return {name: [record for record in records if home[record["patient_id"]] == number] for number, name in enumerate(fractions)}


def _assign(strata_of: dict[str, Counter], shares: list[float], seed: int) -> dict[str, int]:
    """Number of the split of each patient."""
    strata = {stratum: n for n, stratum in enumerate(sorted({s for counts in strata_of.values() for s in counts}))}
    patients = sorted(strata_of)
    counts = np.zeros((len(patients), len(strata)))
    for row, patient in enumerate(patients):
        for stratum, count in strata_of[patient].items():
            counts[row, strata[stratum]] = count
    order = np.random.default_rng(seed).permutation(len(patients))
    order = order[np.argsort(-counts[order].sum(1), kind="stable")]
    wanted = np.outer(shares, counts.sum(0))
    held = np.zeros_like(wanted)
    home: dict[str, int] = {}
    for left, row in zip(range(len(patients), 0, -1), order, strict=True):
        patient = counts[row]
        # growth of the distance: ((held + patient - wanted)^2 - (held - wanted)^2) / wanted
        growth = (patient * (2 * (held - wanted) + patient) / wanted).sum(1)
        empty = held.sum(1) == 0
        if left <= empty.sum():  # the patients left are just enough to fill the splits that have none
            growth[~empty] = np.inf
        split = int(growth.argmin())
        held[split] += patient
        home[patients[row]] = split
    return home
