"""From films and phrases to regions: none, one or several, each with a confidence, in the film's own pixels."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scripts.inferers.image_calibration import ImageCalibration, similarity_zscore
from scripts.inferers.phrase_localizer import FilmEmbeddings, PhraseLocalizer
from scripts.inferers.regions import Region, regions_from_map
from scripts.metrics.localization import min_max
from scripts.reports.phrases import is_groundable
from scripts.transforms.letterbox import Letterbox

MIN_REGION_FRACTION = 0.001
MAX_REGIONS = 5


@dataclass(frozen=True, eq=False)
class GroundedPhrase:
    """What a film shows of a phrase.

    text: the phrase. groundable: False for negated phrases and normal statements, which point at nothing.
    probability: that the phrase fits the film, in [0, 1]; 0 where not groundable.
    raw: heat map of the letterboxed film, raw dot products, float32 [S, S].
    heat: map in native pixels stretched to [-1, 1], float32 [H, W].
    regions: above the calibrated cut, best first; empty where not groundable or below the confidence threshold. A region's
        `score` is its peak in [-1, 1]; its confidence is `confidence(region)`.
    """

    text: str
    groundable: bool
    probability: float
    raw: NDArray[np.float32]
    heat: NDArray[np.float32]
    regions: list[Region]

    def confidence(self, region: Region) -> float:
        """Probability of the phrase, times how near the region's peak comes to the map's highest point, in [0, 1]."""
        return self.probability * (region.score + 1) / 2


class PhraseGrounder:
    """Answer phrases on films with regions.

    A phrase gets no region when it denies or describes normality (`scripts.reports.phrases`), or when its probability on the
    film stays below the threshold that validation chose.

    Args:
        localizer: encodes films and phrases and makes heat maps.
        calibration: learned on validation by `scripts.engines.calibrate_images`; None: maps alone, no probability (NaN), no region.
    """

    def __init__(self, localizer: PhraseLocalizer, calibration: ImageCalibration | None) -> None:
        self.localizer = localizer
        self.calibration = calibration

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
            return self._unregioned(film, letterbox, texts)
        features, heat = phrase_features(self.localizer, film, texts, self.calibration.reference)
        probabilities = self.calibration.probability(features)
        native = letterbox.to_native(heat)
        answers = []
        for text, probability, raw, unboxed in zip(texts, probabilities, heat, native, strict=True):
            groundable = is_groundable(text)
            stretched = min_max(unboxed)
            shown = groundable and probability >= self.calibration.confidence_threshold
            cut = self.calibration.heat_threshold
            regions = regions_from_map(stretched, cut, MIN_REGION_FRACTION, MAX_REGIONS) if shown else []
            answers.append(GroundedPhrase(text, groundable, float(probability) * groundable, raw, stretched, regions))
        return answers

    def _unregioned(self, film: FilmEmbeddings, letterbox: Letterbox, texts: list[str]) -> list[GroundedPhrase]:
        heat = self.localizer.heat_maps(film, self.localizer.encode_phrases(texts))[0].cpu().numpy()
        native = letterbox.to_native(heat)
        return [
            GroundedPhrase(text, is_groundable(text), float("nan"), raw, min_max(unboxed), [])
            for text, raw, unboxed in zip(texts, heat, native, strict=True)
        ]


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
