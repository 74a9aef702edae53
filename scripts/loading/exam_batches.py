"""From exams and their reports to batches."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from monai.transforms import MapTransform, Randomizable
from monai.utils import convert_to_tensor
from torch import Tensor

from scripts.cases.domain import Domain
from scripts.loading.dataset import split_rejected
from scripts.reports.exams.lexicon import ExamLexicon
from scripts.reports.exams.reports import exam_sentences
from scripts.reports.statements import Statement
from scripts.reports.tokens.text_tokenizer import TextTokenizer


class ExamSentencesd(MapTransform, Randomizable):
    """Take an exam's report apart: adds `sentences`, a list of `Statement`.

    Args:
        domain: name or folder of the exams' domain.
        lexicons: languages of the domain or files, the words to read reports by, see `ExamLexicon.load`.
        keys: where the report stands.
        keep_impression: whether the sentences of the impression, which tell the diagnosis, are among them.
        drop_chance: how often each sentence is left out, in [0, 1); one always stays. 0, for validation.
        shuffle: whether the order is drawn anew every time.

    Raises:
        ValueError: a report without any sentence that can be used, or a chance out of range.
    """

    def __init__(
        self,
        domain: str | Path | Domain,
        lexicons: str | Path | Sequence[str | Path],
        keys: str = "report",
        keep_impression: bool = False,
        drop_chance: float = 0.0,
        shuffle: bool = False,
    ) -> None:
        if not 0 <= drop_chance < 1:
            raise ValueError(f"drop_chance must be at least 0 and below 1, got {drop_chance}")
        super().__init__(keys)
        self.lexicon = ExamLexicon.load(lexicons, domain)
        self.keep_impression = keep_impression
        self.drop_chance = drop_chance
        self.shuffle = shuffle
        # Reading a report takes as long as loading an exam's pictures from their cache.
        self._read: dict[str, list[Statement]] = {}

    def randomize(self, data: Any = None) -> None:
        """Nothing to prepare: what is drawn depends on the number of sentences."""

    def __call__(self, data: dict) -> dict:
        item = dict(data)
        for key in self.keys:
            report = item[key]
            if report not in self._read:
                self._read[report] = exam_sentences(report, self.lexicon, self.keep_impression)
            sentences = self._read[report]
            if not sentences:
                without = "" if self.keep_impression else " outside its impression"
                raise ValueError(f"the {key} holds no sentence{without}")
            item["sentences"] = self._shuffle_and_drop(sentences)
        return item

    def _shuffle_and_drop(self, sentences: list[Statement]) -> list[Statement]:
        # The same number of draws whatever they decide.
        order, chances = self.R.permutation(len(sentences)), self.R.random(len(sentences))
        kept = [index for index in order if chances[index] >= self.drop_chance] or [order[0]]
        return [sentences[index] for index in (kept if self.shuffle else sorted(kept))]


class ExamCollate:
    """Join exams into a batch; every different sentence of the batch is tokenized once, as a text of its own.

    Args:
        tokenizer: turns texts into tokens.

    Returns (when called): images [V, 3, S, S] of all exams; inputs (what `NasVLM` takes): image_index [B, N] into V, tokens and
    attention_mask [T, L], sentence_index [B, R] into T, sentence_region [B, R], the position among the domain's regions, and
    statement_id [B, R], the number of the statement, all int64 and -1 for padding, the last two also where nothing is known;
    case_ids, rejected.
    A batch without any good case holds `case_ids` and `rejected` only.
    """

    def __init__(self, tokenizer: TextTokenizer) -> None:
        self.tokenizer = tokenizer

    def __call__(self, items: Sequence[dict]) -> dict[str, Any]:
        items, batch = split_rejected(items)
        if not items:
            return batch
        images, image_index = join_images([item["images"] for item in items])
        told: list[list[Statement]] = [item["sentences"] for item in items]
        different = list(dict.fromkeys(sentence.text for sentences in told for sentence in sentences))
        index = {text: number for number, text in enumerate(different)}
        inputs = {
            "image_index": image_index,
            **self.tokenizer(different),
            "sentence_index": _padded([[index[sentence.text] for sentence in sentences] for sentences in told]),
            "sentence_region": _padded([[sentence.region_index for sentence in sentences] for sentences in told]),
            "statement_id": _padded([[sentence.statement_id for sentence in sentences] for sentences in told]),
        }
        return {**batch, "images": images, "inputs": inputs}


def _padded(rows: Sequence[Sequence[int]]) -> torch.Tensor:
    """Numbers of B rows as int64 [B, longest], -1 for padding."""
    longest = max(map(len, rows))
    return torch.tensor([[*row, *[-1] * (longest - len(row))] for row in rows])


def join_images(exams: Sequence[Sequence[Tensor]]) -> tuple[Tensor, Tensor]:
    """All images of several exams as one batch.

    Args:
        exams: images [3, S, S] of each of B exams, at least one each.

    Returns:
        images [V, 3, S, S]; image_index [B, N], int64 into V, -1 for padding, N the most images of one exam.
    """
    counts = [len(images) for images in exams]
    index = torch.full((len(exams), max(counts)), -1)
    start = 0
    for row, count in enumerate(counts):
        index[row, :count] = torch.arange(start, start + count)
        start += count
    return torch.stack([convert_to_tensor(image) for images in exams for image in images]), index
