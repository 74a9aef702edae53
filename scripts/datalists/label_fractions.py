"""What a training may learn from: a share of the labels, in nested subsets of patients, and no exam of a held-out site."""

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from scripts.datalists.datalist import Datalist
from scripts.files.errors import UserError


def label_fraction(records: Sequence[dict], fraction: float, seed: int) -> list[dict]:
    """Records of a share of the patients, the same share of every class; at least one patient of each class.

        few = label_fraction(records, 0.01, seed=1)

    The patients of a class stand in an order that depends on the seed alone, a share is the first of them, rounded up: so 1 % is
    inside 10 %, and that inside the whole. A patient whose records have several classes counts as the rarest of them, by patients.

    Args:
        records: each with `patient_id` and `label`.
        fraction: share of the patients, above 0 and at most 1.
        seed: of the order.

    Returns:
        records in their own order.

    Raises:
        UserError: a share out of range, or records without patient or label (all positions are given).
    """
    if not 0 < fraction <= 1:
        raise UserError(f"label_fraction must be above 0 and at most 1, got {fraction}")
    nameless = [str(index) for index, record in enumerate(records) if not (record.get("patient_id") and record.get("label"))]
    if nameless:
        raise UserError(f"records {', '.join(nameless)} (counted from 0) have no patient_id or no label: add it or leave them out")
    classes: dict[str, set[str]] = defaultdict(set)
    for record in records:
        classes[record["patient_id"]].add(record["label"])
    sizes = Counter(label for labels in classes.values() for label in labels)
    patients: dict[str, list[str]] = defaultdict(list)
    for patient in sorted(classes):
        patients[min(classes[patient], key=lambda label: (sizes[label], label))].append(patient)
    chosen: set[str] = set()
    for number, label in enumerate(sorted(patients)):
        order = np.random.default_rng([seed, number]).permutation(len(patients[label]))
        # Rounded first, because 0.1 * 30 is a little more than 3.
        count = int(np.ceil(round(fraction * len(order), 6)))
        chosen.update(patients[label][index] for index in order[:count])
    return [record for record in records if record["patient_id"] in chosen]


def sites_of(records: Sequence[dict]) -> list[str]:
    """Sites that records come from, in alphabetical order; a record need not name one."""
    return sorted({record["site"] for record in records if record.get("site")})


def site_names(sites: Sequence[str]) -> list[str]:
    """Sites to hold out, in alphabetical order, each once.

    Raises:
        UserError: a text instead of a list, which would be taken letter by letter.
    """
    if isinstance(sites, str):
        raise UserError(f"held_out_sites must be a list of sites, got '{sites}': write it as \"['{sites}']\"")
    return sorted(set(sites))


def known_sites(cases: Datalist, sites: Sequence[str]) -> list[str]:
    """Sites to hold out, in alphabetical order, each of them known to the datalist.

    Args:
        cases: whose records name their site as `site`.
        sites: names.

    Raises:
        UserError: what `site_names` raises, or sites that no record comes from: a misspelt one would hold out nobody.
    """
    sites = site_names(sites)
    known = sites_of([record for records in cases.splits.values() for record in records])
    unknown = [site for site in sites if site not in known]
    if unknown:
        there = f"it has {', '.join(known)}" if known else "its records name no site"
        raise UserError(
            f"{cases.path}: held_out_sites names {', '.join(unknown)}, which no exam comes from: {there}. Correct held_out_sites"
        )
    return sites


def outside_sites(cases: Datalist, split: str, sites: Sequence[str]) -> list[dict]:
    """Records of a split but those of held-out sites.

    Raises:
        UserError: what `known_sites` raises, or no record left.
    """
    held_out_sites = known_sites(cases, sites)
    records = [record for record in cases.split(split) if record.get("site") not in held_out_sites]
    if not records:
        raise UserError(f"{cases.path}: {split} holds no exam outside the held-out sites ({', '.join(held_out_sites)})")
    return records
