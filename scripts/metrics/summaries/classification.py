"""From one row a (case, label) to figures with intervals."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scripts.metrics.bootstrap import bootstrap_interval, weighted_auc

MEASURES = ("auc", "accuracy", "sensitivity", "specificity", "precision", "f1")


def summarize_labels(
    rows: pd.DataFrame, thresholds: Mapping[str, float], seed: int = 0, groups: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Zero-shot classification with 95% intervals over patients.

    Args:
        rows: one line a (case, label): case_id, patient_id, label, probability in [0, 1] (NaN = not judged), truth 0 or 1.
        thresholds: probability from which a label counts as present, chosen on validation; 0.5 for labels not in it.
        seed: of the bootstrap.
        groups: the group of a label, such as its anatomy; its labels' mean is reported too.

    Returns:
        {label: {measure of `MEASURES`: interval, "threshold", "positives", "cases"}, "macro": {measure: interval}}, with groups
        "groups": {group: {measure: interval}} as well. An interval is {"estimate", "lower", "upper"}. A measure that a label's
        cases do not define (an AUC where all show the finding) is NaN and stays out of the means.
    """
    wide = rows.pivot(index=["case_id", "patient_id"], columns="label", values=["probability", "truth"])
    labels = list(wide["truth"].columns)
    probability, truth = wide["probability"].to_numpy(float), wide["truth"].to_numpy(float)
    cuts = np.array([thresholds.get(label, 0.5) for label in labels])
    decision = np.where(np.isnan(probability), np.nan, probability >= cuts)
    homes = [groups[label] for label in labels] if groups else []
    names = list(dict.fromkeys(homes))
    means = [np.ones(len(labels), bool), *(np.array([home == name for home in homes]) for name in names)]

    def statistic(values: NDArray, weights: NDArray) -> NDArray:
        scores = label_scores(values, weights)
        return np.concatenate([scores, *(_mean(scores[:, chosen]) for chosen in means)], axis=1)

    values = np.stack([probability, decision, truth], axis=-1)
    parts = _intervals(values, wide.index.get_level_values("patient_id"), statistic, seed)
    known = ~np.isnan(truth) & ~np.isnan(probability)
    summary: dict[str, Any] = {
        label: {
            **part,
            "threshold": float(cuts[position]),
            "positives": int(truth[known[:, position], position].sum()),
            "cases": int(known[:, position].sum()),
        }
        for position, (label, part) in enumerate(zip(labels, parts, strict=False))
    }
    summary["macro"] = parts[len(labels)]
    if groups is not None:
        summary["groups"] = dict(zip(names, parts[len(labels) + 1 :], strict=True))
    return summary


def label_scores(values: NDArray, weights: NDArray) -> NDArray:
    """The `MEASURES` of every label in every resample: values [N, F, 3] of (score, decision 0/1, label 0/1), weights [R, N].

    Returns:
        [R, F, 6]; NaN where a denominator is empty. Cases whose score or label is NaN do not count.
    """
    decision, label = values[..., 1], values[..., 2]
    known = ~np.isnan(decision) & ~np.isnan(label)
    says, is_there = known & (decision == 1), known & (label == 1)
    hit, false_alarm = weights @ (says & is_there), weights @ (says & known & ~is_there)
    missed, rejected = weights @ (known & ~says & is_there), weights @ (known & ~says & ~is_there)
    everything = hit + false_alarm + missed + rejected
    shares = [
        (hit + rejected, everything),
        (hit, hit + missed),
        (rejected, rejected + false_alarm),
        (hit, hit + false_alarm),
        (2 * hit, 2 * hit + false_alarm + missed),
    ]
    divided = [np.divide(a, b, out=np.full(a.shape, np.nan), where=b > 0) for a, b in shares]
    return np.stack([weighted_auc(values[..., [0, 2]], weights), *divided], axis=-1)


def _mean(scores: NDArray) -> NDArray:
    """Mean over labels [R, F, 6] -> [R, 1, 6]; labels that are NaN do not count."""
    counts = (~np.isnan(scores)).sum(1, keepdims=True)
    return np.divide(np.nansum(scores, axis=1, keepdims=True), counts, out=np.full(counts.shape, np.nan), where=counts > 0)


def _intervals(values: NDArray, patients: pd.Index, statistic: Any, seed: int) -> list[dict[str, dict[str, float]]]:
    """Intervals of a statistic [R, P, 6], part by part; estimates alone where there is one patient, who cannot be resampled."""
    if patients.nunique() < 2:
        estimate = statistic(values, np.ones((1, len(values))))[0]
        lower = upper = np.full(estimate.shape, np.nan)
    else:
        estimate, lower, upper, _ = bootstrap_interval(values, patients.tolist(), statistic, seed=seed)
    return [
        {
            measure: {"estimate": float(e), "lower": float(low), "upper": float(high)}
            for measure, e, low, high in zip(MEASURES, *part, strict=True)
        }
        for part in zip(estimate, lower, upper, strict=True)
    ]
