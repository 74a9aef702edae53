import numpy as np
import pandas as pd
import pytest

from scripts.metrics.label_efficiency import compare_cells, summarize_cell

EXAMS = 60


def table(wrong: int, rng: np.random.Generator) -> pd.DataFrame:
    """An evaluation with so many wrong decisions."""
    truth = np.arange(EXAMS) % 2
    decision = truth.copy()
    decision[rng.permutation(EXAMS)[:wrong]] ^= 1
    score = np.where(decision == 1, 0.8, 0.2) + rng.uniform(-0.1, 0.1, EXAMS)
    names = [f"exam-{n}" for n in range(EXAMS)]
    columns = {"case_id": names, "patient_id": names, "truth": truth, "decision": decision}
    return pd.DataFrame(columns | {"probability NOR": 1 - score, "probability BH or NPC": score})


def cells(wrong: tuple[int, ...], seed: int = 0) -> dict[int, pd.DataFrame]:
    rng = np.random.default_rng(seed)
    return {number: table(count, rng) for number, count in enumerate(wrong, 1)}


def test_a_cell_is_the_mean_over_its_seeds():
    found = summarize_cell(cells((0, 6, 12)))
    assert found["accuracy"]["estimate"] == pytest.approx(0.9)
    assert found["accuracy"]["lower"] < 0.9 < found["accuracy"]["upper"] <= 1
    assert 0.85 < found["auc"]["estimate"] < 1


def test_seeds_that_differ_widen_the_interval():
    def width(wrong):
        found = summarize_cell(cells(wrong))["accuracy"]
        return found["upper"] - found["lower"]

    assert width((0, 12, 0, 12)) > width((6, 6, 6, 6)) > 0


def test_some_exams_only():
    found = summarize_cell(cells((0, 0)), np.arange(EXAMS) < 20)
    assert found["accuracy"] == {"estimate": 1.0, "lower": 1.0, "upper": 1.0}


def test_a_difference_is_paired_by_exam_and_seed():
    first = cells((4, 8))
    second = {seed: frame.copy() for seed, frame in first.items()}
    for frame in second.values():
        frame.loc[frame.index[:3], "decision"] = 1 - frame.loc[frame.index[:3], "truth"]
    found = compare_cells(first, second)
    by_hand = np.mean(
        [(first[s]["decision"] == first[s]["truth"]).mean() - (second[s]["decision"] == second[s]["truth"]).mean() for s in first]
    )
    assert found["estimate"] == pytest.approx(by_hand)
    # Only three exams differ: the interval is far narrower than that of either accuracy.
    assert found["lower"] >= 0 and found["upper"] < 0.15


def test_different_exams_or_seeds_are_refused():
    first, second = cells((1, 2)), cells((1, 2))
    second[2] = second[2].iloc[::-1].reset_index(drop=True)
    with pytest.raises(ValueError, match="different exams"):
        compare_cells(first, second)
    with pytest.raises(ValueError, match="same seeds"):
        compare_cells(first, cells((1,)))
