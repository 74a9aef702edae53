"""Which findings phantom volumes get, and where."""

from collections import Counter

import pytest

from scripts.phantoms.ct.plan import BLOCK, CHEST, FINDINGS, MISSING, SPLITS, UNSEEN_PAIRS, labels_of, plan_volume
from scripts.reports.by_anatomy.table import AnatomyTable


@pytest.fixture(scope="module")
def plans() -> dict[str, list]:
    return {split: [plan_volume(3, split, index) for index in range(400)] for split in SPLITS}


def test_findings_cover_the_wide_table_and_sixteen_lie_in_the_four_organs_of_ct_rate():
    assert {finding.anatomy for finding in FINDINGS.values()} == set(AnatomyTable.load("wide", "ct").names)
    of = Counter(finding.anatomy for finding in FINDINGS.values())
    assert len(FINDINGS) >= 24 and of["lung"] >= 6
    assert sum(of[name] for name in AnatomyTable.load("ct_rate", "ct").names) >= 16


@pytest.mark.parametrize("split", SPLITS)
def test_every_block_holds_every_finding_four_times(plans, split):
    for start in range(0, 400, BLOCK):
        block = plans[split][start : start + BLOCK]
        assert Counter(finding.label for plan in block for finding in plan.findings) == dict.fromkeys(FINDINGS, 4)
        assert sum(not plan.findings for plan in block) == 2
        assert max(len(plan.findings) for plan in block) == 10


@pytest.mark.parametrize("split", SPLITS)
def test_no_volume_holds_a_label_twice_or_a_finding_outside_its_field_of_view(plans, split):
    for plan in plans[split]:
        labels = [finding.label for finding in plan.findings]
        assert len(set(labels)) == len(labels)
        assert not {finding.anatomy for finding in plan.findings} & plan.missing
        assert not {"Emphysema", "Mosaic attenuation pattern"} <= set(labels)
        assert all((finding.side, finding.part) in FINDINGS[finding.label].places for finding in plan.findings)


def test_labels_are_of_what_the_field_of_view_holds(plans):
    for plan in plans["test"]:
        labels = labels_of(plan)
        assert {label for label, value in labels.items() if value} == {finding.label for finding in plan.findings}
        assert set(labels) == {label for label, finding in FINDINGS.items() if finding.anatomy not in MISSING[plan.field]}
    assert sum(plan.field == CHEST for plan in plans["test"]) == 48


def test_unseen_pairs_occur_in_the_test_split_only(plans):
    where = {split: Counter(f.label for plan in some for f in plan.findings if f.unseen) for split, some in plans.items()}
    assert not where["training"] and not where["validation"]
    assert set(where["test"]) == set(UNSEEN_PAIRS) and min(where["test"].values()) >= 10
    for label, (side, part) in UNSEEN_PAIRS.items():
        seen = [finding for plan in plans["training"] for finding in plan.findings]
        assert any(f.label == label and (f.side == side or f.part == part) for f in seen)
        assert any(f.label != label and f.side == side and f.part == part for f in seen)


def test_plan_does_not_depend_on_other_volumes_and_differs_between_seeds_and_splits():
    volumes = [plan_volume(3, "test", index) for index in range(30)]
    assert plan_volume(3, "test", 28) == volumes[28]
    assert [plan_volume(4, "test", index) for index in range(30)] != volumes
    assert [plan_volume(3, "training", index) for index in range(30)] != volumes
