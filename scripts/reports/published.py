"""Text handling of the published AFLoc code, faults included: for parity only.

Use it to repeat published numbers or to feed a published checkpoint exactly what it was evaluated with;
`scripts.reports.sections` is what recipes use. The rules were recovered from the published code's outputs (AFLoc, arXiv
2401.02044, commit 940e3d7).
"""

import re
from collections.abc import Mapping, Sequence

import numpy as np


def published_sentences(text: str, cut_at: int | None = 5) -> list[str]:
    """Clean and split a report as the published training code does.

    Newlines become spaces; numbering ("1.") and "." split (decimals too); words are lower-cased, letters outside ASCII
    are dropped ("café" -> "caf"); sentences of one word are dropped.

    Args:
        text: the report.
        cut_at: the report ends after the sentence with which its words add up to exactly this number (a fault: a limit
            that is passed by without being hit has no effect); None never cuts.

    Returns:
        sentences; empty where none is left.
    """
    sentences, total = [], 0
    for piece in re.split(r"[0-9]+\.|\.", text.replace("\n", " ")):
        words = re.findall(r"\w+", piece.lower())
        if len(words) < 2:
            continue
        words = [word for word in (word.encode("ascii", "ignore").decode("ascii") for word in words) if word]
        sentences.append(" ".join(words))
        total += len(words)
        if total == cut_at:
            break
    return sentences


def published_report_table(
    reports: Mapping[str, str], cut_at: int | None = 5, impressions: Mapping[str, str] | None = None
) -> tuple[dict[str, list[str]], list[str], dict[str, int]]:
    """Clean a data set's reports as the published training code does.

    Args:
        reports: id -> report text.
        cut_at: as for `published_sentences`.
        impressions: id -> impression, which the published table holds in a column of its own; reports may lack one.

    Returns:
        sentences by id; ids to remove, an empty report's id twice (once for being empty, once for having no sentence);
        number of impression sentences by id, at most that of the report's sentences, 0 for a report without impression.
    """
    sentences, to_remove, counts = {}, [], {}
    for key, text in reports.items():
        if not text:
            to_remove.append(key)
        found = published_sentences(text, cut_at)
        if found:
            sentences[key] = found
            impression = published_sentences((impressions or {}).get(key, "").rstrip("."), cut_at=None)
            counts[key] = min(len(impression), len(found))
        else:
            to_remove.append(key)
    return sentences, to_remove, counts


def published_prompt(text: str) -> str:
    """Clean a prompt as the published inference code does: joined by spaces, a single word becomes "" (a fault)."""
    return " ".join(published_sentences(text, cut_at=None))


def published_caption(sentences: Sequence[str], impression_count: int, mode: int, random_state: np.random.RandomState) -> str:
    """Draw a caption as the published code does; the same draws from a RandomState of the same seed.

    A report of one sentence is returned without a draw. Mode 1: 1 to n - 1 of all n sentences in random order, so the
    full report never comes up. Mode 2: 1 to all of the sentences before the impression in random order, then the
    impression in order; a report that is all impression is returned whole, without a draw.

    Args:
        sentences: at least one, impression last.
        impression_count: sentences of the impression; counts in mode 2 only.
        mode: 1 or 2.
        random_state: takes the place of NumPy's global state.

    Raises:
        ValueError: another mode, no sentence, or (mode 2) more impression sentences than there are sentences.
    """
    if mode not in (1, 2) or not sentences:
        raise ValueError(f"mode must be 1 or 2 and sentences not empty, got mode {mode} and {len(sentences)} sentences")
    if len(sentences) == 1:
        return sentences[0]
    body = len(sentences) if mode == 1 else len(sentences) - impression_count
    if body < 0:
        raise ValueError(f"{impression_count} of {len(sentences)} sentences cannot be the impression")
    if body == 0:
        return ". ".join(sentences)
    size = random_state.randint(1, body + (mode == 2))
    order = random_state.permutation(body)[:size]
    return ". ".join([sentences[index] for index in order] + list(sentences[body:]))
