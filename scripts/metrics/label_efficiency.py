"""What several trainings of one kind reach on the same exams: means over seeds, with intervals over seeds and patients."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scripts.metrics.bootstrap import Statistic, patient_interval, weighted_auc, weighted_mean

RESAMPLES = 2000


def mean_over_seeds(statistic: Statistic, seed: int = 0) -> Statistic:
    """Of a statistic that gives one figure a seed, [R, S], the mean over seeds, drawn anew in each resample of patients.

    So an interval says what other patients and other seeds would give. Where no patient is drawn twice or left out, which is the
    estimate itself, the seeds are as they are.
    """
    generator = np.random.default_rng(seed)

    def mean(values: NDArray, weights: NDArray) -> NDArray:
        by_seed = statistic(values, weights)
        if (weights == 1).all():
            return by_seed.mean(axis=1)
        drawn = generator.integers(by_seed.shape[1], size=by_seed.shape)
        return np.take_along_axis(by_seed, drawn, axis=1).mean(axis=1)

    return mean


def summarize_cell(tables: Mapping[int, pd.DataFrame], exams: NDArray | None = None) -> dict[str, dict[str, float]]:
    """Accuracy and, of two classes, AUC, of trainings that differ in their seed alone.

    Args:
        tables: of each seed the per_exam.csv of its evaluation (see `scripts.handlers.reports.ExamClassReport`); all hold the
            same exams.
        exams: bool [N], which of them count; None: all.

    Returns:
        {measure: {"estimate", "lower", "upper"}}, means over seeds and 95% intervals over seeds and patients.

    Raises:
        ValueError: tables of different exams.
    """
    first = _aligned(tables)
    chosen = np.ones(len(first), bool) if exams is None else exams
    patients = first["patient_id"][chosen].tolist()
    right = np.stack([_right(table)[chosen] for table in tables.values()], axis=1)
    found = {"accuracy": patient_interval(right, patients, mean_over_seeds(weighted_mean), RESAMPLES)}
    columns = [name for name in first.columns if name.startswith("probability ")]
    if len(columns) == 2:
        truth = first["truth"].to_numpy(float)[chosen]
        scores = [np.stack([table[columns[1]].to_numpy(float)[chosen], truth], axis=1) for table in tables.values()]
        found["auc"] = patient_interval(np.stack(scores, axis=1), patients, mean_over_seeds(weighted_auc), RESAMPLES)
    return found


def compare_cells(
    first: Mapping[int, pd.DataFrame], second: Mapping[int, pd.DataFrame], exams: NDArray | None = None
) -> dict[str, float]:
    """By how much the first trainings are more accurate than the second ones, paired by exam and by seed.

    Args:
        first, second, exams: as `summarize_cell`; with the same seeds.

    Returns:
        {"estimate", "lower", "upper"} of the difference of accuracies.

    Raises:
        ValueError: different seeds or exams.
    """
    if list(first) != list(second):
        raise ValueError(f"a paired difference needs the same seeds, got {list(first)} and {list(second)}")
    rows = _aligned({(0, key): table for key, table in first.items()} | {(1, key): table for key, table in second.items()})
    chosen = np.ones(len(rows), bool) if exams is None else exams
    differences = np.stack([_right(first[key]) - _right(second[key]) for key in first], axis=1)[chosen]
    return patient_interval(differences, rows["patient_id"][chosen].tolist(), mean_over_seeds(weighted_mean), RESAMPLES)


def _right(table: pd.DataFrame) -> NDArray:
    return (table["decision"] == table["truth"]).to_numpy(float)


def _aligned(tables: Mapping[Any, pd.DataFrame]) -> pd.DataFrame:
    """The first table, once it is sure that the rows of all are of the same exams in the same order."""
    names = iter(tables)
    first = tables[next(names)]
    for name in names:
        if tables[name]["case_id"].tolist() != first["case_id"].tolist():
            raise ValueError(
                f"the evaluations of {name} and of the first hold different exams: were they all of the same datalist?"
            )
    return first
