"""Is a finding on the film? Answered by comparing it with sentences that affirm and sentences that deny the finding."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from scripts.inferers.phrase_localizer import FilmEmbeddings, PhraseLocalizer


class ZeroShotClassifier:
    """Probability of each finding from prompts alone.

    AFLoc's zero-shot classification (its later release): a class is the mean report embedding of its prompts (severity x
    subtype x location), its opposite the mean over sentences that deny it, and the probability a softmax over both similarities.

    Args:
        localizer: encodes films and phrases, each once.
        prompts: {finding: {"positive": [...], "negative": [...]}}, neither list empty.
        scale: None compares dot products as published, whose size depends on the texts' length; a number multiplies cosines,
            as the loss of training does (its score temperature).

    Raises:
        ValueError: findings without positive or negative prompts (all are named).
    """

    def __init__(
        self,
        localizer: PhraseLocalizer,
        prompts: Mapping[str, Mapping[str, Sequence[str]]],
        scale: float | None = 10.0,
    ) -> None:
        empty = [
            name
            for name, prompt_embeddings in prompts.items()
            if not (prompt_embeddings.get("positive") and prompt_embeddings.get("negative"))
        ]
        if not prompts or empty:
            raise ValueError(f"every finding needs positive and negative prompts; without: {empty or 'all'}")
        self.localizer = localizer
        self.findings = list(prompts)
        self.prompts = prompts
        self.scale = scale
        self._prompt_embeddings: Tensor | None = None

    @torch.inference_mode()
    def prompt_embeddings(self) -> Tensor:
        """Embeddings of the affirming and the denying side of each finding, [2, F, D]; computed once."""
        if self._prompt_embeddings is None:
            means = [[self._mean(self.prompts[name][side]) for name in self.findings] for side in ("positive", "negative")]
            self._prompt_embeddings = torch.stack([torch.stack(side) for side in means])
        return self._prompt_embeddings

    @torch.inference_mode()
    def __call__(self, films: FilmEmbeddings) -> Tensor:
        """Probability of every finding on B films, [B, F], in [0, 1]."""
        return self.compare(films.report, self.prompt_embeddings())

    def compare(self, films: Tensor, prompt_embeddings: Tensor) -> Tensor:
        """Softmax over the sides' similarity to films [B, D], sides [2, F, D]: the affirming share, [B, F]."""
        if self.scale is not None:
            films, prompt_embeddings = F.normalize(films, dim=-1) * self.scale, F.normalize(prompt_embeddings, dim=-1)
        return torch.einsum("bd,sfd->sbf", films, prompt_embeddings).softmax(dim=0)[0]

    def _mean(self, phrases: Sequence[str]) -> Tensor:
        embeddings = self.localizer.encode_phrases(list(phrases))
        return (embeddings if self.scale is None else F.normalize(embeddings, dim=-1)).mean(0)
