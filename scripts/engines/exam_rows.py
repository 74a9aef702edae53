"""One exam, answered, as lines of tables: what its sentences chose, what its findings look like, what it was taken for."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scripts.inferers.exam_calibration import ExamCalibration
from scripts.inferers.regions import Region, regions_from_map
from scripts.inferers.volume_calibration import VolumeCalibration
from scripts.metrics.exam_assignment import assignment_hits, selection_hits
from scripts.metrics.localization import (
    HEAT_CUTS,
    THRESHOLDS,
    cnr,
    dice,
    iou_at_thresholds,
    min_max,
    pointing_game,
)

SIZE_LIMITS = (0.05, 0.2)  # shares of an image's area that separate small, medium and large lesions
MIN_REGION, MAX_REGIONS = 0.003, 3  # share of an image's area that a region covers at least; regions of a finding on an image


class PlacedFinding(NamedTuple):
    """A finding with a place on an image: its place among the record's findings, the image's among those that the network saw,
    truth and heat map in the image's own pixels."""

    number: int
    position: int
    truth: NDArray[np.bool_]
    heat: NDArray[np.floating]


def finding_regions(heat: NDArray, calibration: ExamCalibration) -> list[Region]:
    """Regions of a heat map [H, W] in native pixels."""
    return regions_from_map(min_max(heat), calibration.heat_cut, MIN_REGION, MAX_REGIONS)


def sentence_rows(
    who: dict[str, str], sentences: Sequence[tuple[str, str | None]], weights: NDArray, regions: Sequence[str | None]
) -> list[dict[str, Any]]:
    """Did each sentence of the report choose an image of its region?

    Args:
        who: case_id and patient_id.
        sentences: text and region (None: none known) of each.
        weights: how much each sentence belongs to each image, [R, N].
        regions: the region that each image shows, None where unknown.
    """
    hits = assignment_hits(weights, [region for _, region in sentences], regions)
    return [
        {**who, "kind": "assignment", "text": text, "label": region, "hit": hit, "chance": chance}
        for (text, region), (hit, chance) in zip(sentences, hits, strict=True)
        if not np.isnan(hit)
    ]


class StatedFinding(NamedTuple):
    """A sentence that states a finding, and where: numbers of the record's findings, and the images that show them, counted among
    those that the network saw."""

    text: str
    label: str
    numbers: list[int]
    images: list[int]


def stated_findings(record: dict, places: Sequence[int]) -> list[StatedFinding]:
    """Sentences that state findings on images that were seen (`places`, counted in the record).

    A finding may lie on several images, an entry of the record for each: the sentence is right about every one of them.
    """
    stated: dict[tuple[str, str], StatedFinding] = {}
    for number, finding in enumerate(record.get("findings", ())):
        if finding.get("text") and finding["image_index"] in places:
            key = finding["text"], finding["label"]
            entry = stated.setdefault(key, StatedFinding(*key, [], []))
            entry.numbers.append(number)
            entry.images.append(places.index(finding["image_index"]))
    return list(stated.values())


def selection_rows(
    who: dict[str, str], stated: Sequence[StatedFinding], weights: NDArray, shares: Mapping[int, float]
) -> list[dict[str, Any]]:
    """Did the sentence that states a finding choose an image that shows it?

    Args:
        who: case_id and patient_id.
        stated: R sentences.
        weights: how much each belongs to each image, [R, N].
        shares: share of its image that a finding covers, by its number, where that is known.
    """
    hits = selection_hits(weights, [entry.images for entry in stated])
    largest = [max((shares[number] for number in entry.numbers if number in shares), default=None) for entry in stated]
    return [
        {**who, "kind": "selection", "text": entry.text, "label": entry.label, "size": size_of(share), "hit": hit, "chance": chance}
        for entry, share, (hit, chance) in zip(stated, largest, hits, strict=True)
        if not np.isnan(hit)
    ]


def size_of(share: float | None) -> str | None:
    """Small, medium or large, by the share of an image; None where the share is unknown."""
    return None if share is None else ("small", "medium", "large")[int(np.searchsorted(SIZE_LIMITS, share))]


def view_of(finding: dict, told: Sequence[tuple[str, str | None]], regions: Sequence[str | None]) -> str:
    """Whether a finding is judged on an image of the region that its sentence speaks of ("own_view"), or on one of another region
    that shows it too ("other_view"): an obliterated fossa at the edge of a look at the nasopharynx. "" where either is unknown.

    Args:
        finding: of a datalist record.
        told: text and region (None: none known) of each sentence of the report.
        regions: the region that each image of the record shows, None where unknown.
    """
    shown = regions[finding["image_index"]] if regions else None
    stated = finding.get("text") or ""
    spoken = {region for text, region in told if region and text.rstrip(".。") in stated}
    return "" if shown is None or not spoken else "own_view" if shown in spoken else "other_view"


def localization_row(
    who: dict[str, str], finding: dict, found: PlacedFinding, probability: float, calibration: ExamCalibration, view: str = ""
) -> dict[str, Any]:
    """How well a finding's heat map points at it on its image, in the form of `scripts.metrics.summaries.localization`; `view`: see
    `view_of`.

    A finding that lies outside the part of its image that the network saw is missed: `seen` is False, pointing and contrast are 0.
    """
    share = float(found.truth.mean())
    seen = _seen(found)
    regions = finding_regions(found.heat, calibration)
    shown = np.any([np.zeros_like(found.truth), *(region.mask for region in regions)], axis=0)
    ious, dices = iou_at_thresholds(min_max(found.heat), found.truth), dice(min_max(found.heat), found.truth)
    return {
        **who,
        "kind": "present",
        "label": finding["label"],
        "text": finding.get("text"),
        "image_index": finding["image_index"],
        "probability": probability,
        "regions": len(regions),
        "tags": view,
        "size": size_of(share),
        "area_fraction": share,
        "seen": seen,
        "pointing": _pointing(found),
        "cnr": cnr(found.heat, found.truth) if seen else 0.0,
        "miou": float(ious.mean()),
        "mdice": float(dices.mean()),
        **{f"iou_{threshold}": float(value) for threshold, value in zip(THRESHOLDS, ious, strict=True)},
        "region_iou": float((shown & found.truth).sum() / (shown | found.truth).sum()),
    }


def lesion_row(label: str, sigma: float, found: PlacedFinding) -> dict[str, Any]:
    """What a calibration learns from a heat map smoothed by `sigma`: pointing, and ious at each of `HEAT_CUTS`."""
    ious = iou_at_thresholds(min_max(found.heat), found.truth, HEAT_CUTS)
    return {"label": label, "sigma": sigma, "pointing": _pointing(found), "ious": ious}


def _pointing(found: PlacedFinding) -> float:
    return pointing_game(found.heat, found.truth) if _seen(found) else 0.0


def _seen(found: PlacedFinding) -> bool:
    """Whether any of it lies in the part of the image that the network saw."""
    return bool((found.truth & ~np.isnan(found.heat)).any())


def label_rows(
    who: dict[str, str], record: dict, labels: Sequence[str], scores: Sequence[float], calibration: ExamCalibration
) -> list[dict[str, Any]]:
    """What prompts say of each finding of an exam whose findings are known: score (logit), probability (the network's own, which
    thresholds are of), calibrated probability, truth.
    """
    if "findings" not in record:
        return []
    shown = {finding["label"] for finding in record["findings"]}
    own, calibrated = VolumeCalibration().probability(labels, scores), calibration.probability(labels, scores)
    columns = zip(labels, map(float, scores), own.tolist(), calibrated.tolist(), strict=True)
    return [
        {**who, "label": label, "score": score, "probability": p, "calibrated": c, "truth": int(label in shown)}
        for label, score, p, c in columns
    ]


def diagnosis_row(who: dict[str, str], record: dict, classes: Sequence[str], probabilities: NDArray) -> dict[str, Any]:
    """An exam's class, if it is known to be one of these, and the probability of each."""
    truth = record.get("label")
    known = truth if truth in classes else None
    return {**who, "truth": known, **{name: float(value) for name, value in zip(classes, probabilities, strict=True)}}
