"""From texts to the tensors of a BERT text encoder, with the words and sentences that the local losses compare."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from scripts.reports.tokens.text_models import load_bert_tokenizer, save_tokenizer


class TextUnits(NamedTuple):
    """A text's units as strings, in the order of their indices, "[CLS]" first and "[SEP]" last."""

    words: list[str]
    sentences: list[str]


class ReportTokenizer:
    """Turn texts into tokens, and say which token belongs to which word and which word to which sentence.

    Units are AFLoc's (arXiv 2401.02044, text encoder): a word is its merged word pieces; a word "." ends a sentence and
    belongs to none; [CLS] is the first unit and [SEP] the last at both levels; a "." right before [SEP] stays inside
    the last sentence. Sentences without a word are skipped, where the published code makes a unit of NaN of them.

        tokenizer = ReportTokenizer("models/text")
        batch = tokenizer(["small effusion. heart normal", "edema"])
        batch["sentence_index"][0]  # [CLS] small effusion . heart normal [SEP] -> 0, 1, 1, -1, 2, 2, 3

    Args:
        folder_or_name: folder with a BERT tokenizer (`scripts.reports.tokens.text_models` makes one), or a hub
            id.
        max_tokens: longer texts are cut to this number of tokens, [CLS] and [SEP] included and kept.
        published_lengths: count units as the published code does, for parity: every unit that begins with "[" (so each
            [UNK]) shortens `word_lengths` by one, sentences without a word are units, and texts without a word are let
            through.
        pad_to_max: pad to `max_tokens` instead of the batch's longest text.

    Raises:
        TextModelError: no BERT tokenizer there, a vocabulary without ".", or a model with fewer positions than
            `max_tokens`.
        ValueError: `max_tokens` below 3.
    """

    def __init__(
        self,
        folder_or_name: str | Path,
        max_tokens: int = 97,
        published_lengths: bool = False,
        pad_to_max: bool = False,
    ) -> None:
        if max_tokens < 3:
            raise ValueError(f"max_tokens must be at least 3 ([CLS], a word, [SEP]), got {max_tokens}")
        self.max_tokens = max_tokens
        self.published_lengths = published_lengths
        self.pad_to_max = pad_to_max
        self.tokenizer = load_bert_tokenizer(folder_or_name, max_tokens)
        self._names = self.tokenizer.convert_ids_to_tokens(range(len(self.tokenizer)))
        # What units need to know of each vocabulary entry, looked up for a whole batch at once.
        self._traits = _TokenTraits.of(self._names)

    def __call__(self, texts: Sequence[str]) -> dict[str, Tensor]:
        """Tokenize a batch; L is the number of tokens of its longest text (or `max_tokens`).

        Args:
            texts: B texts.

        Returns:
            tokens: vocabulary ids, int64 [B, L];
            attention_mask: 1 for tokens, 0 for padding, int64 [B, L];
            word_index: token -> word unit, -1 for padding, int64 [B, L];
            sentence_index: word unit (by column) -> sentence unit, -1 for separating "." and past the last word unit,
                int64 [B, L];
            word_lengths, sentence_lengths: units that count, [CLS] included and [SEP] not, int64 [B].

        Raises:
            TypeError: a single string instead of a list.
            ValueError: no text, or one without any word (its index is named).
        """
        tokens, real = self._tokenize(texts)
        units = _index_units(self._traits.take(tokens), real, self.published_lengths)
        if not self.published_lengths and len(empty := (units[3] < 2).nonzero()):
            index = int(empty[0, 0])
            raise ValueError(f"text {index} of the batch holds no word: {texts[index]!r}; leave it out or give it a text")
        names = ("word_index", "sentence_index", "word_lengths", "sentence_lengths")
        return {"tokens": tokens, "attention_mask": real.long(), **dict(zip(names, units, strict=True))}

    def save(self, folder: str | Path) -> None:
        """Write the tokenizer's files to a folder, from which this class reads them again; nothing to do where they came from."""
        save_tokenizer(self.tokenizer, folder)

    def units(self, texts: Sequence[str]) -> list[TextUnits]:
        """The units of each text as strings, in the order of the indices that calling gives: for showing attention.

        Words the vocabulary lacks read "[UNK]". Raises what calling raises.
        """
        batch = self(texts)
        result = []
        for row in range(len(texts)):
            count = int(batch["attention_mask"][row].sum())
            words: list[str] = []
            for name_id in batch["tokens"][row, :count].tolist():
                name = self._names[name_id]
                if name.startswith("##") and words:
                    words[-1] += name[2:]
                else:
                    words.append(name)
            sentence_index = batch["sentence_index"][row, : len(words)].tolist()
            sentences: list[list[str]] = [[] for _ in range(max(sentence_index) + 1)]
            for word, sentence in zip(words, sentence_index, strict=True):
                if sentence >= 0:
                    sentences[sentence].append(word)
            result.append(TextUnits(words, [" ".join(sentence) for sentence in sentences]))
        return result

    def _tokenize(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Token ids and whether they are real, [B, L] each."""
        if isinstance(texts, str):
            raise TypeError(f"give a list of texts, not one string: [{texts!r}]")
        if not len(texts):
            raise ValueError("no text to tokenize")
        encoded = self.tokenizer(
            list(texts),
            truncation=True,
            max_length=self.max_tokens,
            padding="max_length" if self.pad_to_max else "longest",
            split_special_tokens=True,  # a literal "[SEP]" in a report is text
            return_tensors="pt",
        )
        return encoded["input_ids"], encoded["attention_mask"].bool()


class _TokenTraits(NamedTuple):
    """What matters of tokens: whether one continues a word, is a ".", begins with "["; bool tensors of one shape."""

    continues: Tensor
    stop: Tensor
    bracket: Tensor

    @classmethod
    def of(cls, names: Sequence[str]) -> "_TokenTraits":
        tests = (lambda name: name.startswith("##"), lambda name: name == ".", lambda name: name.startswith("["))
        return cls(*(torch.tensor([test(name) for name in names]) for test in tests))

    def take(self, ids: Tensor) -> "_TokenTraits":
        return _TokenTraits(*(trait[ids] for trait in self))


def unit_indices(tokens: Sequence[str], published: bool = False) -> tuple[list[int], list[int], int, int]:
    """Find the units of one text given as BERT tokens; see `ReportTokenizer`.

    Args:
        tokens: from "[CLS]" to "[SEP]", "##" marking pieces that continue a word; "[PAD]" may follow.
        published: count and number as the published code does.

    Returns:
        word_index (token -> word unit, -1 for padding), sentence_index (word unit -> sentence unit, -1 for separating
        "." and past the last word unit; as long as `tokens`), words and sentences that count ([CLS] included, [SEP]
        not).

    Raises:
        ValueError: the tokens do not begin with [CLS] or do not end in [SEP] and padding.
    """
    real = [token != "[PAD]" for token in tokens]
    count = sum(real)
    if count < 2 or tokens[0] != "[CLS]" or tokens[count - 1] != "[SEP]":
        raise ValueError(f"tokens must run from [CLS] to [SEP], padding only after it, got {' '.join(tokens)!r}")
    traits = _TokenTraits(*(trait[None] for trait in _TokenTraits.of(tokens)))
    word_index, sentence_index, words, sentences = _index_units(traits, torch.tensor([real]), published)
    return word_index[0].tolist(), sentence_index[0].tolist(), int(words), int(sentences)


def _index_units(traits: _TokenTraits, real: Tensor, published: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The units of a batch: word_index [B, L], sentence_index [B, L], word_lengths [B], sentence_lengths [B].

    Each row of `real` [B, L] marks [CLS], at least that and [SEP], from the left. Word pieces right after [CLS] merge
    into it, as published.
    """
    starts = real & ~traits.continues
    starts[:, 0] = True
    word_index = (starts.cumsum(1) - 1).masked_fill(~real, -1)
    last = starts.sum(1, keepdim=True) - 2  # column of the word before [SEP]

    # From token columns to word columns: is the word a "."?
    is_stop = torch.zeros_like(real)
    rows, columns = (starts & traits.stop & ~_shift(traits.continues, -1)).nonzero(as_tuple=True)
    is_stop[rows, word_index[rows, columns]] = True

    column = torch.arange(real.shape[1], device=real.device).expand_as(real)
    text = (column > 0) & (column <= last)
    separator = text & is_stop & (column < last)
    if published:
        number = 1 + separator.cumsum(1)
        sentences = 1 + separator.sum(1)
    else:
        # A final "." stays inside the last sentence only if that has a word.
        separator |= text & is_stop & (_shift(is_stop, 1) | (column == 1))
        words = text & ~separator
        number = (words & ~_shift(words, 1)).cumsum(1)
        sentences = number[:, -1]
    sentence_index = number.masked_fill(~text | separator, -1)
    sentence_index[:, 0] = 0
    sentence_index.scatter_(1, last + 1, sentences[:, None] + 1)  # [SEP]

    word_lengths = 1 + (starts & ~traits.bracket).sum(1) if published else last[:, 0] + 1
    return word_index, sentence_index, word_lengths, sentences + 1


def _shift(flags: Tensor, by: int) -> Tensor:
    """Rows of [B, L] flags moved right by 1 or left by -1, False filled in."""
    moved = flags.roll(by, 1)
    moved[:, 0 if by > 0 else -1] = False
    return moved
