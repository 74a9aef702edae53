"""From one row a (film, phrase) to figures with intervals."""

from typing import Any

import pandas as pd

from scripts.metrics.bootstrap import by_finding, macro, patient_interval, weighted_mean
from scripts.metrics.localization import false_region_rate_at_recall

MEASURES = ("pointing", "cnr", "miou", "mdice", "region_iou")


def summarize_phrases(rows: pd.DataFrame, seed: int = 0) -> dict[str, Any]:
    """Localization and false regions, all with 95% intervals over patients.

    Args:
        rows: one line a (film, phrase), as `scripts.engines.evaluators.image.phrase_row` writes them.
        seed: of the bootstrap.

    Returns:
        "localization": {slice: {measure: interval}} for the slices "all", "macro" (mean over findings), and each finding, size and
        tag, with "cases"; "shown": share of phrases of each kind that got a region; "false_regions_at_80_recall": share of
        absent phrases that would get one if exactly 80% of the present ones did, on these very films. Where no phrase has a
        probability (an evaluation without calibration) "localization" alone, without the regions' IoU.
    """
    found = rows[rows["kind"] == "present"]
    placed = found[found["cnr"].notna()] if "cnr" in found else found.iloc[:0]
    summary: dict[str, Any] = {"localization": {}, "shown": {}}
    if len(placed):
        slices = {"all": placed}
        slices |= {f"finding {name}": part for name, part in placed.groupby("label")}
        slices |= {f"size {name}": part for name, part in placed.groupby("size")}
        tags = sorted({tag for text in placed["tags"].fillna("") for tag in text.split()} - {"small", "medium", "large"})
        slices |= {f"tag {tag}": placed[placed["tags"].fillna("").str.split().map(lambda t, tag=tag: tag in t)] for tag in tags}
        summary["localization"] = {name: _measures(part, seed) for name, part in slices.items()}
        summary["localization"]["macro"] = {
            measure: _interval(by_finding(placed[measure], placed["label"])[0], placed, seed, macro(weighted_mean))
            for measure in MEASURES
        } | {"cases": len(placed)}
    if rows["probability"].isna().all():  # no calibration: nothing was said about presence, and no region drawn
        return {"localization": {name: _without(part, "region_iou") for name, part in summary["localization"].items()}}
    for kind, part in rows.groupby("kind"):
        summary["shown"][kind] = _interval(part["regions"] > 0, part, seed) | {"cases": len(part)}
    absent = rows[rows["kind"] == "absent"]
    if len(found) and len(absent):
        rate = false_region_rate_at_recall(found["probability"], absent["probability"], 0.8)
        summary["false_regions_at_80_recall"] = {"rate": rate.rate, "threshold": rate.threshold}
    return summary


def _without(part: dict[str, Any], measure: str) -> dict[str, Any]:
    return {name: value for name, value in part.items() if name != measure}


def _measures(part: pd.DataFrame, seed: int) -> dict[str, Any]:
    return {measure: _interval(part[measure], part, seed) for measure in MEASURES} | {"cases": len(part)}


def _interval(values: Any, rows: pd.DataFrame, seed: int, statistic: Any = weighted_mean) -> dict[str, float]:
    return patient_interval(values, rows["patient_id"].tolist(), statistic, seed=seed)
