"""Which findings does a volume show? Each anatomy's feature is compared with sentences that affirm and that deny them."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from scipy.ndimage import find_objects
from torch import Tensor

from scripts.networks import FVLM
from scripts.networks.anatomy_pooling import anatomy_tokens
from scripts.networks.fvlm import l2_normalize
from scripts.preparation.published_volumes import published_window
from scripts.preparation.volume import organ_window
from scripts.reports.by_anatomy.prompts import FindingPrompts
from scripts.reports.tokens.text_tokenizer import TextTokenizer

Window = tuple[slice, slice, slice]
MAX_PROMPTS = 256  # texts encoded at a time


@dataclass(frozen=True)
class Evidence:
    """Where in a window the evidence for a finding lies.

    window: slices (z, y, x) of the volume. tokens: [d, h, w], what each patch adds to the finding's score. patch: voxels of one.
    """

    window: Window
    tokens: Tensor
    patch: tuple[int, int, int]

    def volume(self, shape: Sequence[int]) -> Tensor:
        """A saliency volume [D, H, W] in [0, 1] of the prepared volume's shape: what speaks for the finding, at most 1."""
        grown = F.interpolate(self.tokens.clamp_min(0)[None, None], scale_factor=self.patch, mode="trilinear")[0, 0]
        inside = grown[tuple(slice(0, part.stop - part.start) for part in self.window)]
        volume = torch.zeros(tuple(shape))
        volume[self.window] = inside.float().cpu() / inside.max().clamp_min(1e-12).cpu()
        return volume


@dataclass(frozen=True)
class AnatomyAnswer:
    """What a volume shows.

    scores: [F], how much nearer a finding's affirming sentences are than its denying ones, in logits; NaN where its anatomy is not
    in the volume. evidence: of each finding, None where its anatomy is missing; empty where it was not asked for.
    """

    scores: Tensor
    evidence: list[Evidence | None]

    @property
    def probabilities(self) -> Tensor:
        """fVLM's zero-shot probability of every finding, [F] in [0, 1] or NaN."""
        return self.scores.sigmoid()


class AnatomyClassifier:
    """fVLM's zero-shot classification (arXiv 2501.14548, section on zero-shot diagnosis, and its code).

    An anatomy is looked at within a window around it. A window that holds other anatomies whole serves them too, so that a chest is
    encoded once and not once an organ; prompts are encoded once in the classifier's life.

    Args:
        network: in evaluation mode.
        tokenizer: of its text encoder.
        prompts: findings; the features of a side's wordings are averaged.
        window: least voxels (D, H, W) of a window.
        published: a window of its own for each anatomy, as in the published code, its off-by-one included.

    Raises:
        ValueError: findings of anatomies that the network does not know (all are named).
    """

    def __init__(
        self,
        network: FVLM,
        tokenizer: TextTokenizer,
        prompts: Sequence[FindingPrompts],
        window: Sequence[int] = (112, 288, 352),
        published: bool = False,
    ) -> None:
        strange = [finding.label for finding in prompts if finding.anatomy not in network.anatomies]
        if strange or not prompts:
            raise ValueError(
                f"no findings, or findings of anatomies that the network does not know ({network.anatomies}): {strange}"
            )
        self.network, self.tokenizer, self.prompts = network, tokenizer, list(prompts)
        self.window, self.published = tuple(window), published
        self.anatomy = torch.tensor([network.anatomies.index(finding.anatomy) for finding in prompts])
        self._directions: Tensor | None = None

    @torch.inference_mode()
    def directions(self) -> Tensor:
        """Feature of the affirming minus feature of the denying sentences of each finding, [F, E]; computed once."""
        if self._directions is None:
            sides = [side for finding in self.prompts for side in (finding.positive, finding.negative)]
            texts = list(dict.fromkeys(text for side in sides for text in side))
            # Texts of a length go together: padding is what costs.
            texts.sort(key=len)
            parts = [self._encode(texts[start : start + MAX_PROMPTS]) for start in range(0, len(texts), MAX_PROMPTS)]
            features = dict(zip(texts, torch.cat(parts), strict=True))
            means = l2_normalize(torch.stack([torch.stack([features[text] for text in side]).mean(0) for side in sides]))
            self._directions = means[::2] - means[1::2]
        return self._directions

    @torch.inference_mode()
    def compare(self, anatomies: Tensor) -> Tensor:
        """Scores [..., F] of all findings, in logits, from embeddings of all anatomies [..., K, E] of length 1."""
        return (anatomies[..., self.anatomy.to(anatomies.device), :] * self.directions()).sum(-1) / self.network.temperature

    @torch.inference_mode()
    def __call__(self, image: Tensor, mask: Tensor, evidence: bool = False) -> AnatomyAnswer:
        """Ask a volume for every finding.

        Args:
            image: prepared volume [1, D, H, W] in [0, 1], on the network's device.
            mask: its anatomies [D, H, W], integers.
            evidence: say where each finding's evidence lies.
        """
        scores = torch.full([len(self.prompts)], torch.nan)
        found: list[Evidence | None] = [None] * len(self.prompts) if evidence else []
        for window, anatomies in self.windows(mask):
            asked = [index for index, anatomy in enumerate(self.anatomy.tolist()) if anatomy in anatomies]
            if asked:
                answers, tokens = self._ask(image[:, *window], mask[window], asked, evidence)
                scores[asked] = answers.float().cpu()
                for index, contribution in zip(asked, tokens, strict=False):
                    found[index] = Evidence(window, contribution, self.network.volume_encoder.patch_size)
        return AnatomyAnswer(scores, found)

    def windows(self, mask: Tensor) -> list[tuple[Window, list[int]]]:
        """Windows that a volume is looked at through, and the anatomies (from 0) that each serves; largest first.

        Args:
            mask: anatomies [D, H, W], integers.
        """
        boxes = find_objects(mask.cpu().numpy(), max_label=len(self.network.anatomies))
        window_around = published_window if self.published else organ_window
        around = {index: window_around(box, mask.shape, self.window) for index, box in enumerate(boxes) if box is not None}
        order = sorted(around, key=lambda index: -_voxels(around[index]))
        chosen: dict[tuple, tuple[Window, list[int]]] = {}
        for index in order:
            same = next((key for key, (window, _) in chosen.items() if not self.published and _holds(window, boxes[index])), None)
            key = same or tuple((part.start, part.stop) for part in around[index])
            chosen.setdefault(key, (around[index], []))[1].append(index)
        return list(chosen.values())

    def _ask(self, image: Tensor, mask: Tensor, asked: list[int], evidence: bool) -> tuple[Tensor, list[Tensor]]:
        """Scores of the asked findings in a window, and each token's contribution, [d, h, w] a finding."""
        encoder, pooling = self.network.volume_encoder, self.network.pooling
        missing = [-side % patch for side, patch in zip(mask.shape, encoder.patch_size, strict=True)]
        padding = [number for side in reversed(missing) for number in (0, side)]
        member = anatomy_tokens(F.pad(mask, padding)[None], len(self.network.anatomies), encoder.patch_size).member
        padded = F.pad(image, padding)[None]
        levels = encoder(padded)
        features = l2_normalize(pooling(levels, member))[0]
        scores = self.compare(features)[asked]
        if not evidence:
            return scores, []
        anatomy, directions = self.anatomy[asked].to(features.device), self.directions()[asked]
        parts = pooling.contributions(levels, member, anatomy, directions.to(levels[0].dtype))[0]
        return scores, list(parts.unflatten(1, encoder.grid_of(padded.shape[2:])))

    def _encode(self, texts: Sequence[str]) -> Tensor:
        device = self.network.temperature.device
        return self.network.encode_texts(**{key: value.to(device) for key, value in self.tokenizer(texts).items()})


def _voxels(window: Window) -> int:
    depth, height, width = (part.stop - part.start for part in window)
    return depth * height * width


def _holds(window: Window, box: Window) -> bool:
    return all(outer.start <= inner.start and inner.stop <= outer.stop for outer, inner in zip(window, box, strict=True))
