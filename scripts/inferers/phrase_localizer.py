"""Where on a film does a phrase point? Every film and every phrase is encoded once."""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from scripts.data.reports import clean_sentence, report_sentences
from scripts.data.tokenizers import ReportTokenizer
from scripts.networks import AFLoc, ImageEmbeddings


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
        sigma: smoothing in cells of the map; 1.5 as published on 19x19.
        map_level: "sentences" or "words": which map of the image encoder is compared.
        batch_size: phrases encoded at a time.
        clean: brings a phrase into the form of training captions; `scripts.data.published_reports.published_prompt` for parity.
    """

    def __init__(
        self,
        network: AFLoc,
        tokenizer: ReportTokenizer,
        size: int = 224,
        sigma: float = 1.5,
        map_level: str = "sentences",
        batch_size: int = 64,
        clean: Callable[[str], str] = clean_phrase,
    ) -> None:
        self.network = network.eval()
        self.tokenizer = tokenizer
        self.size = size
        self.sigma = sigma
        self.map_level = map_level
        self.batch_size = batch_size
        self.clean = clean
        self._phrases: dict[str, Tensor] = {}

    @torch.inference_mode()
    def encode_films(self, images: Tensor) -> ImageEmbeddings:
        """Embed letterboxed films [B, 1, S, S], values in [-1, 1]."""
        return self.network.image_encoder(images)

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
    def heat_maps(self, films: ImageEmbeddings, phrases: Tensor) -> Tensor:
        """Smoothed similarity of every film's regions with every phrase.

        Args:
            films: embeddings of B films.
            phrases: embeddings of P phrases, [P, D].

        Returns:
            [B, P, size, size], raw dot products: neither their zero nor their scale has a meaning across phrases.
        """
        regions = getattr(films, self.map_level)
        heat = torch.einsum("bdhw,pd->bphw", regions, phrases)
        rows, columns = (smoothing(n, self.sigma).to(heat) for n in heat.shape[-2:])
        heat = rows @ heat @ columns.T
        return F.interpolate(heat, (self.size, self.size), mode="bilinear", align_corners=False)

    @torch.inference_mode()
    def similarity(self, films: ImageEmbeddings, phrases: Tensor) -> Tensor:
        """Cosine of every film's with every phrase's report embedding, [B, P]."""
        return F.normalize(films.report, dim=1) @ F.normalize(phrases, dim=1).T


def smoothing(cells: int, sigma: float) -> Tensor:
    """Gaussian filter with mirrored borders as a matrix [cells, cells]: it is linear, and the maps are small."""
    return torch.from_numpy(gaussian_filter1d(np.eye(cells), sigma, axis=0)).float()
