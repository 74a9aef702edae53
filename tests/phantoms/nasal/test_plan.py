"""Which class, findings and images phantom exams get."""

from collections import Counter

import pytest

from scripts.phantoms.nasal.plan import (
    CLASSES,
    CO_FINDINGS,
    FINDINGS,
    FORMS,
    HYPERPLASIA,
    IRRADIATED,
    MASS,
    OBLITERATED,
    REGIONS,
    SITES,
    SPLITS,
    ExamPlan,
    plan_exam,
)

COUNT = 900


@pytest.fixture(scope="module")
def plans() -> dict[str, list[ExamPlan]]:
    return {split: [plan_exam(3, split, index) for index in range(COUNT)] for split in SPLITS}


@pytest.mark.parametrize("split", SPLITS)
def test_every_block_of_thirty_holds_ten_of_each_class_and_every_form(plans, split):
    for start in range(0, COUNT, 30):
        block = plans[split][start : start + 30]
        for label in CLASSES:
            assert Counter(plan.form for plan in block if plan.label == label) == Counter(FORMS[label])
        assert sum(plan.hard for plan in block) == 6


def test_the_held_out_hospital_is_in_half_of_the_test_split_and_nowhere_else(plans):
    sites = {split: Counter(plan.site for plan in exams) for split, exams in plans.items()}
    assert set(sites["training"]) == set(sites["validation"]) == set(SITES[:2])
    assert 0.4 < sites["test"][SITES[2]] / COUNT < 0.6
    assert min(sites["test"][site] for site in SITES[:2]) > 0.15 * COUNT


def test_a_patient_has_one_class_and_one_hospital_and_sometimes_two_exams(plans):
    for exams in plans.values():
        patients: dict[int, set] = {}
        for plan in exams:
            patients.setdefault(plan.patient, set()).add((plan.label, plan.site))
        assert all(len(kinds) == 1 for kinds in patients.values())
        assert 0.8 * COUNT < len(patients) < 0.92 * COUNT


def test_exams_have_three_to_eight_images_with_the_nasopharynx_and_every_region_somewhere(plans):
    for plan in plans["training"]:
        assert 3 <= len(plan.views) <= 8
        assert "nasopharynx" in {view.region for view in plan.views}
        for view in plan.views:
            if view.repeats is not None:
                first = plan.views[view.repeats]
                assert (view.region, view.side) == (first.region, first.side) and first.repeats is None
    shares = Counter(view.region for plan in plans["training"] for view in plan.views)
    assert set(shares) == set(REGIONS) and min(shares.values()) > 0.15 * COUNT
    lengths = [len(plan.views) for plan in plans["training"]]
    assert 4.5 < sum(lengths) / COUNT < 6 and {3, 8} <= set(lengths)
    assert 0.05 < sum(view.repeats is not None for plan in plans["training"] for view in plan.views) / sum(lengths) < 0.15
    assert 0.05 < sum(view.blurred for plan in plans["training"] for view in plan.views) / sum(lengths) < 0.15


def test_findings_make_the_class(plans):
    for plan in plans["training"]:
        labels = {finding.label for finding in plan.findings}
        assert (HYPERPLASIA in labels) == (plan.label == "BH")
        assert (OBLITERATED in labels) == (plan.label == "NPC")
        assert (MASS in labels) == (plan.label == "NPC" and plan.form != "early")
        assert plan.label != "BH" or IRRADIATED not in labels
        for finding in plan.findings:
            assert finding.region in FINDINGS[finding.label]


def test_an_early_carcinoma_images_its_fossa(plans):
    early = [plan for plan in plans["training"] if plan.form == "early"]
    assert early
    for plan in early:
        side = next(finding.side for finding in plan.findings if finding.label == OBLITERATED)
        assert ("fossa of rosenmueller", side) in {(view.region, view.side) for view in plan.views}


def test_co_findings_and_imaged_regions_do_not_tell_the_class(plans):
    kinds = {label: [plan for plan in plans["training"] if plan.label == label] for label in CLASSES}
    for label in set(CO_FINDINGS) - {IRRADIATED}:
        shares = [sum(any(f.label == label for f in plan.findings) for plan in some) / len(some) for some in kinds.values()]
        assert max(shares) - min(shares) < 0.08 and max(shares) > 0.02, label
    for region in REGIONS:
        shares = [sum(any(v.region == region for v in plan.views) for plan in some) / len(some) for some in kinds.values()]
        assert max(shares) - min(shares) < 0.12, region


def test_some_findings_are_not_imaged_and_some_views_show_none(plans):
    unseen = [f for plan in plans["test"] for f in plan.findings if not any(f in plan.seen_in(view) for view in plan.views)]
    assert 0.05 < len(unseen) / sum(len(plan.findings) for plan in plans["test"]) < 0.3
    assert not any(finding.label in (HYPERPLASIA, MASS) for finding in unseen)
    assert any(not plan.seen_in(view) for plan in plans["test"] for view in plan.views)


def test_a_view_shows_the_findings_of_its_own_side(plans):
    for plan in plans["test"]:
        for view in plan.views:
            for finding in plan.seen_in(view):
                assert view.region == "nasopharynx" or finding.side in ("", view.side)


def test_a_plan_does_not_depend_on_other_exams_and_differs_between_seeds_and_splits():
    exams = [plan_exam(3, "test", index) for index in range(40)]
    assert plan_exam(3, "test", 37) == exams[37]
    assert [plan_exam(4, "test", index) for index in range(40)] != exams
    assert [plan_exam(3, "training", index) for index in range(40)] != exams
