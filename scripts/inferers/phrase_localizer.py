"""Where on a film does a phrase point? Every film and every phrase is encoded once."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from scripts.networks import AFLoc
from scripts.reports.sections import clean_sentence, report_sentences
from scripts.reports.tokens.tokenizers import ReportTokenizer

# Maps of the image encoder, and how many of their cells lie along one of the sentence level's.
MAP_LEVELS = {"sentences": 1.0, "words": 2.0, "report": 0.5}


class FilmEmbeddings(NamedTuple):
    """What a localization needs of B films: report [B, D], the films as wholes; maps, one [B, D, h, w] for each level."""

    report: Tensor
    maps: tuple[Tensor, ...]

    def film(self, index: int) -> "FilmEmbeddings":
        """One of the films, still with a batch dimension."""
        return FilmEmbeddings(self.report[index : index + 1], tuple(level[index : index + 1] for level in self.maps))


def clean_phrase(phrase: str) -> str:
    """A phrase in the form of a training caption: its sentences cleaned and joined; single words stay."""
    return ". ".join(report_sentences(phrase)) or clean_sentence(phrase)


class PhraseLocalizer:
    """Heat maps of phrases on films, and how well each film as a whole matches each phrase.

    AFLoc's zero-shot localization: dot product of the sentence-level map with the phrase's report embedding, Gaussian smoothing on
    the map's grid, bilinear enlargement. The published code encodes the film anew for every phrase; here films are encoded once
    a batch, phrases once in the localizer's life.

    Args:
        network: a trained `AFLoc`; it is put into eval mode.
        tokenizer: the tokenizer it was trained with.
        size: side of the heat maps in pixels: the letterbox that the films went through.
        sigma: smoothing in cells of the sentence-level map (16 pixels of the network's input); 1.5 as published on 19x19.
        map_levels: which maps of the image encoder are compared: "sentences" (as published), "words" (finer), "report" (the class
            activation map of the report head, for networks trained on whole reports alone). Several are each brought to mean 0
            and deviation 1, and added.
        batch_size: phrases encoded at a time.
        clean: brings a phrase into the form of training captions; `scripts.reports.published.published_prompt` for parity.

    Raises:
        ValueError: no level, or an unknown one.
    """

    def __init__(
        self,
        network: AFLoc,
        tokenizer: ReportTokenizer,
        size: int = 224,
        sigma: float = 1.5,
        map_levels: Sequence[str] = ("sentences",),
        batch_size: int = 64,
        clean: Callable[[str], str] = clean_phrase,
    ) -> None:
        if not map_levels or isinstance(map_levels, str) or set(map_levels) - set(MAP_LEVELS):
            raise ValueError(f"map_levels must be a list of {', '.join(MAP_LEVELS)}, got {map_levels!r}")
        self.network = network.eval()
        self.tokenizer = tokenizer
        self.size = size
        self.sigma = sigma
        self.map_levels = tuple(map_levels)
        self.batch_size = batch_size
        self.clean = clean
        self._phrases: dict[str, Tensor] = {}

    @torch.inference_mode()
    def encode_films(self, images: Tensor) -> FilmEmbeddings:
        """Embed letterboxed films [B, 1, S, S], normalised as in training."""
        encoder = self.network.image_encoder
        stages = encoder.stages(images)
        films = encoder.heads(*stages)
        maps = [encoder.report_map(stages[-1]) if name == "report" else getattr(films, name) for name in self.map_levels]
        return FilmEmbeddings(films.report, tuple(maps))

    @torch.inference_mode()
    def encode_phrases(self, phrases: list[str]) -> Tensor:
        """Report embeddings of phrases, [P, D]; those seen before come from memory."""
        device = next(self.network.parameters()).device
        fresh = sorted({phrase for phrase in phrases if phrase not in self._phrases}, key=len)
        for start in range(0, len(fresh), self.batch_size):
            chunk = fresh[start : start + self.batch_size]
            texts = self.tokenizer([self.clean(phrase) for phrase in chunk])
            report = self.network.text_encoder(**{key: value.to(device) for key, value in texts.items()}).report
            self._phrases.update(zip(chunk, report, strict=True))
        return torch.stack([self._phrases[phrase] for phrase in phrases])

    @torch.inference_mode()
    def heat_maps(self, films: FilmEmbeddings, phrases: Tensor) -> Tensor:
        """Smoothed similarity of every film's regions with every phrase.

        Args:
            films: embeddings of B films.
            phrases: embeddings of P phrases, [P, D].

        Returns:
            [B, P, size, size]: raw dot products of one level, or the sum of several standardised ones. Neither zero nor scale
            have a meaning across phrases.
        """
        levels = [self._heat(name, regions, phrases) for name, regions in zip(self.map_levels, films.maps, strict=True)]
        if len(levels) == 1:
            return levels[0]
        spreads = (level.std((2, 3), keepdim=True).clamp_min(1e-6) for level in levels)
        return sum((level - level.mean((2, 3), keepdim=True)) / spread for level, spread in zip(levels, spreads, strict=True))

    def _heat(self, name: str, regions: Tensor, phrases: Tensor) -> Tensor:
        heat = torch.einsum("bdhw,pd->bphw", regions, phrases)
        rows, columns = (smoothing(n, self.sigma * MAP_LEVELS[name]).to(heat) for n in heat.shape[-2:])
        return F.interpolate(rows @ heat @ columns.T, (self.size, self.size), mode="bilinear", align_corners=False)

    @torch.inference_mode()
    def similarity(self, films: FilmEmbeddings, phrases: Tensor) -> Tensor:
        """Cosine of every film's with every phrase's report embedding, [B, P]."""
        return F.normalize(films.report, dim=1) @ F.normalize(phrases, dim=1).T


def smoothing(cells: int, sigma: float) -> Tensor:
    """Gaussian filter with mirrored borders as a matrix [cells, cells]: it is linear, and the maps are small. 0 smooths nothing."""
    unit = np.eye(cells)
    return torch.from_numpy(gaussian_filter1d(unit, sigma, axis=0) if sigma else unit).float()
