"""Choose on validation films what an inference needs: reference films, probability, thresholds."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader
from tqdm import tqdm

from scripts.cases.domain import Domain, read_domain
from scripts.files.errors import UserError
from scripts.inferers.image_calibration import ImageCalibration, fit_probability
from scripts.inferers.phrase_grounder import phrase_features
from scripts.inferers.phrase_localizer import PhraseLocalizer
from scripts.inferers.queries import film_queries
from scripts.inferers.zero_shot_classifier import ZeroShotClassifier
from scripts.kinds.image import finding_mask, has_place
from scripts.metrics.classification import choose_threshold
from scripts.metrics.localization import HEAT_CUTS, iou_at_thresholds, min_max

REFERENCE_FILMS = 256


def calibrate_images(
    localizer: PhraseLocalizer,
    loader: DataLoader,
    pool: dict[str, list[str]],
    domain: str | Path | Domain,
    device: torch.device,
    classifier: ZeroShotClassifier | None = None,
    recall: float = 0.8,
) -> ImageCalibration:
    """Learn a `ImageCalibration` from films with labels and findings.

    The probability is a logistic regression on phrases that fit and phrases for labels that are absent; the confidence threshold
    is the highest that still shows `recall` of the findings; the cut of the heat maps is the one with the best mean IoU.

    Args:
        localizer: encodes films and phrases.
        loader: validation films in batches of `scripts.loading.ImageRecordCollate`.
        pool: phrases for each label.
        domain: of the films.
        device: device of the network.
        classifier: its decision threshold for each label is chosen too; None leaves labels out.
        recall: share of findings that must get a region, in (0, 1].

    Raises:
        UserError: no finding with a place, or no absent label, among the films.
    """
    reference = [F.normalize(film.report, dim=1) for _, _, film in islice(_films(localizer, loader, device), REFERENCE_FILMS)]
    if len(reference) < 2:
        raise UserError("calibration needs at least two validation films; set calibrate to false and name a calibration")
    embeddings = torch.cat(reference).cpu()
    features, present, ious, labels = [], [], [], []
    for record, letterbox, film in tqdm(_films(localizer, loader, device), desc="calibrating", unit="film"):
        if classifier is not None:
            labels.append((record.get("labels", {}), classifier(film)[0].tolist()))
        queries = [query for query in film_queries(record, pool, read_domain(domain)) if query.kind in ("present", "absent")]
        if not queries:
            continue
        values, heat = phrase_features(localizer, film, [query.text for query in queries], embeddings)
        features.append(values)
        present += [query.kind == "present" for query in queries]
        for query, raw in zip(queries, letterbox.to_native(heat), strict=True):
            if query.finding is not None and has_place(record["findings"][query.finding]):
                truth = finding_mask(record["findings"][query.finding], raw.shape)
                ious.append(iou_at_thresholds(min_max(raw), truth, HEAT_CUTS))
    if not ious or all(present):
        raise UserError(
            f"calibration found {len(ious)} findings with a place and {len(present) - sum(present)} absent labels among the "
            "validation films; it needs both. Set calibrate to false and name a calibration made on other films"
        )
    known = np.array(present)
    table = np.concatenate(features)
    weights, bias = fit_probability(table, known)
    cut = float(HEAT_CUTS[int(np.mean(ious, axis=0).argmax())])
    decisions = _label_thresholds(classifier.findings, labels) if classifier is not None else {}
    fitted = ImageCalibration(embeddings, weights, bias, 0.0, cut, decisions)
    threshold = float(np.quantile(fitted.probability(table[known]), 1 - recall, method="lower"))
    return replace(fitted, confidence_threshold=threshold)


def _label_thresholds(findings: list[str], films: list[tuple[dict[str, int], list[float]]]) -> dict[str, float]:
    """Youden's threshold of each finding for which validation has both answers."""
    thresholds = {}
    for index, name in enumerate(findings):
        pairs = [(labels[name], probabilities[index]) for labels, probabilities in films if name in labels]
        if len({truth for truth, _ in pairs}) == 2:
            thresholds[name] = float(choose_threshold(*zip(*pairs, strict=True)))
    return thresholds


def _films(localizer: PhraseLocalizer, loader: DataLoader, device: torch.device) -> Iterator[tuple]:
    """Record, letterbox and embeddings [1, ...] of each film."""
    for batch in loader:
        if batch["case_ids"]:
            films = localizer.encode_films(batch["images"].to(device))
            for index, (record, letterbox) in enumerate(zip(batch["records"], batch["letterboxes"], strict=True)):
                yield record, letterbox, films.film(index)
