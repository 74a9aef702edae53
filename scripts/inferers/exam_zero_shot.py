"""What does an exam show? Answered by comparing it with wordings of each possible answer."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from scripts.files.errors import UserError
from scripts.inferers.exam_localizer import SCORE_LEVELS, ExamLocalizer
from scripts.networks import ExamEmbeddings


class ExamZeroShot:
    """Probability of each of several answers that exclude each other, from wordings alone.

    Diagnoses exclude each other as they are; a finding is a question of its own:

        diagnosis = ExamZeroShot(localizer, {"NOR": ["The nasopharynx is smooth."], "BH": [...], "NPC": [...]})
        polyp = ExamZeroShot(localizer, {"present": ["A polyp in the middle meatus."], "absent": ["The middle meatus is clear."]})

    Args:
        localizer: encodes exams and sentences, each once.
        answers: wordings of each answer; their embeddings are averaged.
        level: what the wordings are compared with, see `ExamLocalizer.scores`.

    Raises:
        ValueError: fewer than two answers, answers without a wording (all are named), or an unknown level.
    """

    def __init__(self, localizer: ExamLocalizer, answers: Mapping[str, Sequence[str]], level: str = "region") -> None:
        empty = [name for name, wordings in answers.items() if not wordings]
        if len(answers) < 2 or empty:
            raise ValueError(f"two answers or more, each with a wording, are needed; got {list(answers)}, without wording: {empty}")
        if level not in SCORE_LEVELS:
            raise ValueError(f"level must be {' or '.join(SCORE_LEVELS)}, got '{level}'")
        self.localizer = localizer
        self.answers = list(answers)
        self.wordings = answers
        self.level = level
        self._statements: Tensor | None = None

    @torch.inference_mode()
    def statements(self) -> Tensor:
        """Embedding of each answer, [A, D], length 1; computed once."""
        if self._statements is None:
            self._statements = torch.stack([self.localizer.mean_sentence(self.wordings[name]) for name in self.answers])
        return self._statements

    @torch.inference_mode()
    def __call__(self, exams: ExamEmbeddings) -> Tensor:
        """Probability of each answer for B exams, [B, A]: softmax of the scores over the network's temperature."""
        return (self.localizer.scores(exams, self.statements(), self.level) / exams.temperature).softmax(1)


def class_directions(
    localizer: ExamLocalizer, prompts: Mapping[str, Mapping[str, Sequence[str]]], class_of: Mapping[str, int]
) -> list[Tensor]:
    """The ways in which each class of a screening shows, as directions in the space of images: C tensors [ways, D].

    A sign's direction leads from what a report says without it to what it says with it, so that its cosine is positive in images
    that show more of the sign than of its absence. A label without signs is what is left when no sign speaks: zeros.

    Args:
        localizer: encodes the wordings.
        prompts: see `scripts.reports.read_prompts`; a label without "signs" is its own sign.
        class_of: position of the class by an exam's label.

    Raises:
        UserError: labels that the prompts have no entry for.
    """
    missing = [label for label in class_of if label not in prompts]
    if missing:
        raise UserError(f"the prompts have no entry for {', '.join(missing)}, only for {', '.join(prompts)}: add it to the table")
    ways: list[list[Tensor]] = [[] for _ in range(max(class_of.values()) + 1)]
    for label, index in class_of.items():
        directions = [_direction(localizer, prompts[sign]) for sign in prompts[label].get("signs", [label])]
        ways[index] += directions or [torch.zeros(localizer.network.exam_encoder.embedding_size)]
    return [torch.stack(directions) for directions in ways]


def _direction(localizer: ExamLocalizer, prompt: Mapping[str, Sequence[str]]) -> Tensor:
    absent = localizer.mean_sentence(prompt["negative"]) if prompt["negative"] else 0.0
    return localizer.mean_sentence(prompt["positive"]) - absent
