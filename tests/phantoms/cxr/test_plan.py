"""Which findings phantom films get, and where."""

from collections import Counter

import pytest

from scripts.phantoms.cxr.plan import LABELS, SPLITS, UNSEEN_PAIRS, plan_film


@pytest.fixture(scope="module")
def plans() -> dict[str, list]:
    return {split: [plan_film(3, split, index) for index in range(400)] for split in SPLITS}


@pytest.mark.parametrize("split", SPLITS)
def test_every_block_of_fifty_holds_every_finding_eight_times(plans, split):
    for start in range(0, 400, 50):
        block = plans[split][start : start + 50]
        assert Counter(plan.label for film in block for plan in film) == dict.fromkeys(LABELS, 8)
        assert Counter(len(film) for film in block) == {0: 10, 1: 13, 2: 14, 3: 13}


@pytest.mark.parametrize("split", SPLITS)
def test_no_film_holds_a_label_twice_or_edema_with_what_it_hides(plans, split):
    for film in plans[split]:
        labels = [plan.label for plan in film]
        assert len(set(labels)) == len(labels)
        if "pulmonary edema" in labels:
            assert not {"hilar enlargement", "reticular opacity"} & set(labels)


def test_unseen_pairs_occur_in_the_test_split_only(plans):
    where = {
        split: Counter(plan.label for film in films for plan in film if (plan.side, plan.zone) == UNSEEN_PAIRS.get(plan.label))
        for split, films in plans.items()
    }
    assert not where["training"] and not where["validation"]
    assert set(where["test"]) == set(UNSEEN_PAIRS) and min(where["test"].values()) >= 10
    assert all(plan.unseen == ((plan.side, plan.zone) == UNSEEN_PAIRS.get(plan.label)) for film in plans["test"] for plan in film)


def test_both_halves_of_an_unseen_pair_are_seen_in_training(plans):
    seen = [plan for film in plans["training"] for plan in film]
    for label, (side, zone) in UNSEEN_PAIRS.items():
        assert any(plan.label == label and plan.side == side for plan in seen)
        assert any(plan.label == label and plan.zone == zone for plan in seen)
        assert any(plan.label != label and (plan.side, plan.zone) == (side, zone) for plan in seen)


def test_plan_does_not_depend_on_other_films_and_differs_between_seeds_and_splits():
    films = [plan_film(3, "test", index) for index in range(60)]
    assert plan_film(3, "test", 57) == films[57]
    assert [plan_film(4, "test", index) for index in range(60)] != films
    assert [plan_film(3, "training", index) for index in range(60)] != films
