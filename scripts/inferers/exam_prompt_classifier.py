"""All that a table of prompts asks of exams: the diagnosis, each finding, and where to look for it."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from scripts.files.errors import UserError
from scripts.inferers.exam_localizer import ExamLocalizer
from scripts.inferers.exam_zero_shot import ExamZeroShot
from scripts.networks import ExamEmbeddings


class ExamPromptClassifier:
    """Zero-shot answers to prompts that were encoded once.

        findings = ExamPromptClassifier(localizer, read_prompts("nasal", "nasal"), classes=["NOR", "BH", "NPC"])
        findings.diagnosis(exams), findings.scores(exams)

    Args:
        localizer: encodes exams and sentences.
        prompts: {name: {"positive": [...], "negative": [...]}}; a diagnosis may be {"signs": [names of findings]} instead.
        classes: names of the prompts that are diagnoses, of which an exam has exactly one, all with signs or all with wordings; all
            others are findings, each there or not.
        level: what prompts are compared with, see `ExamLocalizer.scores`.

    Raises:
        UserError: a class without prompts (all are named), or a name without wordings.
    """

    def __init__(
        self,
        localizer: ExamLocalizer,
        prompts: Mapping[str, Mapping[str, Sequence[str]]],
        classes: Sequence[str],
        level: str = "region",
    ) -> None:
        signs = [prompts.get(name, {}).get("signs") for name in classes]
        self.signs = signs if signs and None not in signs else None
        silent = [name for name in classes if name not in prompts]
        silent += [
            name
            for name, texts in prompts.items()
            if (name not in classes and not (texts.get("positive") and texts.get("negative")))
            or (name in classes and self.signs is None and not texts.get("positive"))
        ]
        if silent:
            raise UserError(
                f"the prompts lack wordings for {', '.join(silent)}: a diagnosis needs positive ones, a finding both kinds; "
                "`classes` says which are diagnoses, two or more of the table's own"
            )
        self.localizer = localizer
        self.level = level
        self.prompts = prompts
        self.classes = list(classes)
        self.labels = [name for name in prompts if name not in classes]
        self._worded = None if self.signs else ExamZeroShot(localizer, {name: prompts[name]["positive"] for name in classes}, level)
        self._pairs: tuple[Tensor, Tensor] | None = None

    def statements(self) -> tuple[Tensor, Tensor]:
        """Mean embeddings of each finding's positive and negative wordings, [F, D] each; computed once."""
        if self._pairs is None:
            none = [self._worded.statements()[:0]] if self._worded else []  # where every prompt is a diagnosis
            sides = [
                [self.localizer.mean_sentence(self.prompts[label][side])[None] for label in self.labels]
                for side in ("positive", "negative")
            ]
            self._pairs = torch.cat([*none, *sides[0]]), torch.cat([*none, *sides[1]])
        return self._pairs

    @torch.inference_mode()
    def diagnosis(self, exams: ExamEmbeddings) -> Tensor:
        """Probability of each class for B exams, [B, C].

        Of classes with signs, a class's logit is that of any of its signs, log(mean(exp(scores))), and 0 without signs: it wins
        where the absence of all others' signs fits better than their presence.
        """
        if self._worded:
            return self._worded(exams)
        scores = self.scores(exams)
        logits = torch.zeros(len(scores), len(self.classes), device=scores.device)
        for index, signs in enumerate(self.signs):
            if signs:
                rows = [self.labels.index(sign) for sign in signs]
                logits[:, index] = scores[:, rows].logsumexp(1) - math.log(len(rows))
        return logits.softmax(1)

    @torch.inference_mode()
    def scores(self, exams: ExamEmbeddings) -> Tensor:
        """How much more each finding's presence fits an exam than its absence, as a logit: [B, F]."""
        present, absent = (self.localizer.scores(exams, side, self.level) for side in self.statements())
        return (present - absent) / exams.temperature

    @torch.inference_mode()
    def images_of(self, exams: ExamEmbeddings) -> Tensor:
        """The image that shows most of each finding, [B, F]: where presence leads absence by most."""
        present, absent = self.statements()
        lead = torch.einsum("bnd,fd->bfn", exams.images, present - absent)
        return lead.masked_fill(~exams.image_mask[:, None], -torch.inf).argmax(2)

    @torch.inference_mode()
    def heat_maps(self, exams: ExamEmbeddings, label: str, sigma: float | None = None) -> Tensor:
        """`ExamLocalizer.heat_maps` of a finding, [B, N, S, S]."""
        row = self.labels.index(label)
        present, absent = (side[[row]] for side in self.statements())
        return self.localizer.heat_maps(exams, present, absent, sigma)[:, :, 0]
