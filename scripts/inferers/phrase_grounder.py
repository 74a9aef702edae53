"""From films and phrases to regions: none, one or several, each with a confidence, in the film's own pixels."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scripts.cases.domain import Domain, read_domain
from scripts.inferers.image_calibration import ImageCalibration, similarity_zscore
from scripts.inferers.phrase_localizer import FilmEmbeddings, PhraseLocalizer
from scripts.inferers.regions import Region, regions_from_map
from scripts.metrics.localization import min_max
from scripts.reports.phrases import judge_phrase
from scripts.transforms.letterbox import Letterbox

MIN_REGION_FRACTION = 0.001
MAX_REGIONS = 5


@dataclass(frozen=True, eq=False)
class GroundedPhrase:
    """What a film shows of a phrase.

    text: the phrase. reason: why it points at nothing, as negated phrases and normal statements do; None where it does.
    probability: that the phrase fits the film, in [0, 1]; 0 where it is negated or normal, NaN where nobody can say.
    raw: heat map of the letterboxed film, raw dot products, float32 [S, S].
    heat: map in native pixels stretched to [-1, 1], float32 [H, W].
    regions: above the calibrated cut, best first; empty where it points at nothing or below the confidence threshold. A region's
        `score` is its peak in [-1, 1]; its confidence is `confidence(region)`.
    """

    text: str
    reason: str | None
    probability: float
    raw: NDArray[np.float32]
    heat: NDArray[np.float32]
    regions: list[Region]

    def confidence(self, region: Region) -> float:
        """Probability of the phrase, times how near the region's peak comes to the map's highest point, in [0, 1]."""
        return self.probability * (region.score + 1) / 2


class PhraseGrounder:
    """Answer phrases on films with regions.

    A phrase gets no region when it denies or describes normality by the domain's lexicons (`scripts.reports.phrases`), when they
    cannot read it, or when its probability on the film stays below the threshold that validation chose.

    Args:
        localizer: encodes films and phrases and makes heat maps.
        calibration: learned on validation by `scripts.engines.calibrate_images`; None: maps alone, no probability (NaN), no region.
        domain: of the films.
    """

    def __init__(self, localizer: PhraseLocalizer, calibration: ImageCalibration | None, domain: str | Path | Domain) -> None:
        self.localizer = localizer
        self.calibration = calibration
        self.domain = read_domain(domain)

    def __call__(
        self, films: FilmEmbeddings, letterboxes: Sequence[Letterbox], phrases: Sequence[Sequence[str]]
    ) -> list[list[GroundedPhrase]]:
        """Ground the phrases of each film.

        Args:
            films: embeddings of B films, from the localizer's `encode_films`.
            letterboxes: their B ways back to native pixels.
            phrases: the phrases asked of each film.
        """
        answers = []
        for index, (letterbox, texts) in enumerate(zip(letterboxes, phrases, strict=True)):
            answers.append(self._ground(films.film(index), letterbox, list(texts)))
        return answers

    def _ground(self, film: FilmEmbeddings, letterbox: Letterbox, texts: list[str]) -> list[GroundedPhrase]:
        if not texts:
            return []
        if self.calibration is None:
            raw, native = phrase_maps(self.localizer, film, letterbox, texts)
            probabilities = np.full(len(texts), np.nan)
        else:
            features, raw = phrase_features(self.localizer, film, texts, self.calibration.reference)
            probabilities, native = self.calibration.probability(features), map(min_max, letterbox.to_native(raw))
        parts = zip(texts, probabilities.tolist(), raw, native, strict=True)
        return [self._answer(*part) for part in parts]

    def _answer(self, text: str, probability: float, raw: NDArray, native: NDArray) -> GroundedPhrase:
        judged, learned = judge_phrase(text, self.domain), self.calibration
        if not judged.groundable:
            probability = np.nan if judged.polarity is None else probability * 0
            return GroundedPhrase(text, judged.reason, probability, raw, native, [])
        shown = learned is not None and probability >= learned.confidence_threshold
        regions = regions_from_map(native, learned.heat_threshold, MIN_REGION_FRACTION, MAX_REGIONS) if shown else []
        return GroundedPhrase(text, None, probability, raw, native, regions)


def phrase_maps(
    localizer: PhraseLocalizer, film: FilmEmbeddings, letterbox: Letterbox, texts: list[str]
) -> tuple[NDArray[np.float32], list[NDArray[np.float32]]]:
    """Heat maps of P phrases on one film: raw [P, S, S], and [H, W] each in native pixels, stretched to [-1, 1]."""
    heat = localizer.heat_maps(film, localizer.encode_phrases(texts))[0].cpu().numpy()
    return heat, [min_max(unboxed) for unboxed in letterbox.to_native(heat)]


def phrase_features(
    localizer: PhraseLocalizer, film: FilmEmbeddings, texts: list[str], reference: Tensor
) -> tuple[NDArray, NDArray[np.float32]]:
    """What tells whether phrases fit one film, and their raw heat maps.

    Args:
        film: embeddings of one film.
        texts: P phrases.
        reference: embeddings of reference films, see `ImageCalibration`.

    Returns:
        features [P, 3] in the order of `FEATURES`: cosine with the film; its standing among the reference films; how far the
        heat map's peak stands above its mean, in its standard deviations. Heat maps [P, size, size].
    """
    phrases = localizer.encode_phrases(texts)
    similarity = localizer.similarity(film, phrases)
    heat = localizer.heat_maps(film, phrases)[0]
    peak = (heat.amax((1, 2)) - heat.mean((1, 2))) / heat.std((1, 2)).clamp_min(1e-6)
    features = torch.stack([similarity[0], similarity_zscore(similarity, reference, phrases)[0], peak], dim=1)
    return features.cpu().numpy().astype(np.float64), heat.cpu().numpy()
