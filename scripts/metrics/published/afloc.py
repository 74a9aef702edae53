"""AFLoc's published evaluation as it is, bugs included, to compare figures with the paper's.

What differs from `scripts.metrics.localization`: everything happens on 224 x 224 letterboxed maps whose outer 14
pixels are left out; boxes are rounded down to whole pixels there; a case whose truth or prediction is empty is NaN
and drops out instead of counting as a miss; where boxes overlap the truth is 2, which CNR counts neither as lesion
nor as background; intervals resample rows, not patients. (Yang et al., arXiv 2401.02044; behaviour of the authors'
code, Apache-2.0, commit 940e3d7.)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from scripts.metrics.bootstrap import by_finding, weighted_mean
from scripts.metrics.localization import min_max

SIZE = 224
MARGIN = 14  # of 224 px on each side: the published crop of 448 out of 512
THRESHOLDS = np.arange(0.1, 0.6, 0.1)  # 0.30000000000000004 and not 0.3 is the third one, as published
RESAMPLES = 1000
LOWER, UPPER = 24, 974  # of the sorted resamples


@dataclass(frozen=True)
class PublishedResults:
    """Tables of one evaluation, values rounded to three digits as published.

    metrics: rows thresholds and "mean"; columns macro IoU and CNR, then each finding's.
    intervals: by metric (`iou_thre_0.1` ... `iou_thre_0.5`, `iou`, `cnr`), rows findings and (last, name NaN) their
        mean; columns lower, mean, upper.
    resamples: by metric, [1000, findings], not rounded.
    """

    metrics: pd.DataFrame
    intervals: dict[str, pd.DataFrame]
    resamples: dict[str, pd.DataFrame]

    def write(self, folder: str | Path) -> None:
        """Write `metric.csv` and, by metric, `test_<metric>_summary_results.csv`, `<metric>_bootstrap_results.csv`."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.metrics.to_csv(folder / "metric.csv", index=False)
        for metric, table in self.intervals.items():
            table.to_csv(folder / f"test_{metric}_summary_results.csv", index=False)
            self.resamples[metric].to_csv(folder / f"{metric}_bootstrap_results.csv", index=False)


def published_box_transfer(box: ArrayLike, width: int, height: int, size: int = SIZE) -> NDArray[np.int32]:
    """A box of the native image in the letterboxed one: x, y, width and height each rounded down, [4].

    Args:
        box: x, y, width, height in native pixels.
        width, height: of the native image.
        size: side of the letterboxed image.
    """
    scale = size / max(width, height)
    # The resized shorter side is cut to whole pixels, then the padding halved, its smaller half at the left or top.
    left, top = ((size - int(side * scale)) // 2 if side < max(width, height) else 0 for side in (width, height))
    return np.floor(np.asarray(box, dtype=np.float64) * scale + np.array([left, top, 0, 0])).astype(np.int32)


def published_truth(boxes: Sequence[ArrayLike], width: int, height: int, size: int = SIZE) -> NDArray[np.uint8]:
    """Sum of the transferred boxes, [size, size]: 0 outside, 1 inside, 2 and more where boxes overlap."""
    truth = np.zeros((size, size), dtype=np.uint8)
    for box in boxes:
        x, y, w, h = published_box_transfer(box, width, height, size)
        truth[y : y + h, x : x + w] += 1
    return truth


def published_iou(heat: ArrayLike, truth: ArrayLike, threshold: float) -> float:
    """IoU of `heat > threshold` and `truth > 0` where heat is not NaN; NaN when either is empty there.

    Args:
        heat: [H, W], as `min_max` gives it.
        truth: [H, W], as `published_truth` gives it.
        threshold: of heat, -1..1.
    """
    heat, truth = np.asarray(heat), np.asarray(truth)
    seen = ~np.isnan(heat)
    true, predicted = truth[seen] > 0, heat[seen] > threshold
    if not true.any() or not predicted.any():
        return float("nan")
    return float(np.count_nonzero(true & predicted) / np.count_nonzero(true | predicted))


def published_cnr(heat: ArrayLike, truth: ArrayLike) -> float:
    """(mean inside - mean outside) / sqrt(variance inside + variance outside), signed.

    Inside is `truth == 1` and outside `truth == 0`, both where heat is not NaN. 0 when neither varies (on a
    constant map the published code means this and stops with an IndexError), NaN when either is empty.
    """
    heat, truth = min_max(heat), np.asarray(truth)
    seen = ~np.isnan(heat)
    inside, outside = heat[seen & (truth == 1)], heat[seen & (truth == 0)]
    if inside.size == 0 or outside.size == 0:
        return float("nan")
    noise = inside.var() + outside.var()
    return float((inside.mean() - outside.mean()) / noise**0.5) if noise != 0 else 0.0


def evaluate_as_published(
    heats: Sequence[ArrayLike],
    truths: Sequence[ArrayLike],
    findings: Sequence[str],
    margin: int = MARGIN,
    seed: int = 0,
) -> PublishedResults:
    """The published evaluation of one data set.

    Args:
        heats: raw heat maps in letterboxed space, N times [224, 224].
        truths: as `published_truth` gives them, N times [224, 224].
        findings: the finding of each map, [N]; the macro mean is over them.
        margin: pixels left out at each edge: 14 on chest films, 0 on the other data sets.
        seed: of the resamples.

    Raises:
        ValueError: numbers of maps, truths and findings differ, or there are none.
    """
    if not len(heats) == len(truths) == len(findings) or len(heats) == 0:
        raise ValueError(f"expected as many heat maps, truths and findings: got {len(heats)}, {len(truths)}, {len(findings)}")
    maps = [min_max(heat, margin) for heat in heats]
    ious = np.array([[published_iou(m, t, threshold) for threshold in THRESHOLDS] for m, t in zip(maps, truths, strict=True)])
    cnrs = np.array([published_cnr(m, t) for m, t in zip(maps, truths, strict=True)])
    return results_as_published(ious, cnrs, findings, seed)


def results_as_published(ious: ArrayLike, cnrs: ArrayLike, findings: Sequence[str], seed: int = 0) -> PublishedResults:
    """Tables and intervals from the values of each case: ious [N, 5] at `THRESHOLDS`, cnrs [N], findings [N]."""
    # Rows are sorted by finding, findings in order of appearance: the resamples depend on it.
    names = list(dict.fromkeys(findings))
    order = sorted(range(len(findings)), key=lambda i: names.index(findings[i]))
    ious, cnrs, findings = np.asarray(ious)[order], np.asarray(cnrs)[order], [findings[i] for i in order]
    # Averaged over thresholds a NaN counts as 0, unless all are NaN.
    mean_iou = np.where(np.isnan(ious).all(axis=1), np.nan, np.nansum(ious, axis=1) / len(THRESHOLDS))
    values = {f"iou_thre_{t:.1f}": ious[:, i] for i, t in enumerate(THRESHOLDS)} | {"iou": mean_iou, "cnr": cnrs}
    stream = np.random.RandomState(seed)
    intervals, resamples = {}, {}
    for metric, value in values.items():
        columns, _ = by_finding(value, findings)
        draws = stream.randint(0, len(columns), size=(RESAMPLES, len(columns)))
        drawn = np.apply_along_axis(np.bincount, 1, draws, minlength=len(columns)).astype(np.float64)
        resamples[metric] = pd.DataFrame(weighted_mean(columns, drawn), columns=names)
        intervals[metric] = _intervals(resamples[metric])
    by_threshold = [by_finding(ious[:, i], findings)[0] for i in range(len(THRESHOLDS))]
    return PublishedResults(_metrics(by_threshold, by_finding(cnrs, findings)[0], names), intervals, resamples)


def _metrics(ious: list[NDArray], cnrs: NDArray, names: list[str]) -> pd.DataFrame:
    once = np.ones((1, len(cnrs)))
    iou = pd.DataFrame(np.concatenate([weighted_mean(columns, once) for columns in ious]), columns=names)
    cnr = pd.DataFrame(np.repeat(weighted_mean(cnrs, once), len(ious), axis=0), columns=names)
    table = pd.DataFrame({"iou_cat": iou.mean(axis=1), "cnr_cat": cnr.mean(axis=1)})
    table = pd.concat([table, iou.add_prefix("iou_"), cnr.add_prefix("cnr_")], axis=1)
    table.loc[len(table)] = table.mean(axis=0)
    table.insert(0, "threshold", [*THRESHOLDS.tolist(), "mean"])
    return table.round(3)


def _intervals(resamples: pd.DataFrame) -> pd.DataFrame:
    """Sorted entries 24 and 974 of each finding (NaN last), then their mean over findings; rounded before and after."""
    ordered = np.sort(resamples.to_numpy(), axis=0)
    bounds = {"lower": ordered[LOWER], "mean": resamples.mean(axis=0).to_numpy(), "upper": ordered[UPPER]}
    table = pd.DataFrame({"name": resamples.columns, **{key: np.round(value, 3) for key, value in bounds.items()}})
    table = table.sort_values("name", ignore_index=True)
    table.loc[len(table)] = [np.nan, *table[["lower", "mean", "upper"]].mean(axis=0)]
    return table.round(3)
