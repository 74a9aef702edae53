"""Synthetic frontal chest films with reports and ground truth, for demonstrations, tests and continuous integration.

    python -m scripts phantoms cxr --output data/phantom_cxr

writes films and masks (8-bit PNG), `datalist.json` and `prompts.json`. Training records hold an image and a report,
nothing else; labels, findings with boxes, masks, phrases and tags are in validation and test. Four pairs of finding and
place (`UNSEEN_PAIRS`) occur in the test split alone, in films as in reports; their findings carry the tag
"unseen_pair". The tags "small", "medium" and "large" tell a finding's box area: below 1.5 % of the film, between, above
6 %.
"""

from functools import partial
from pathlib import Path

from scripts.datalists.datalist import save_datalist
from scripts.files.atomic import write_json_atomically
from scripts.phantoms.common.writing import write_cases
from scripts.phantoms.cxr.case import write_case
from scripts.phantoms.cxr.plan import LABELS, SPLITS, UNSEEN_PAIRS
from scripts.phantoms.cxr.words import prompt_table

__all__ = ["LABELS", "UNSEEN_PAIRS", "prompt_table", "write_phantoms"]


def write_phantoms(
    output: str | Path,
    training: int = 3000,
    validation: int = 300,
    test: int = 400,
    seed: int = 1,
    workers: int | None = None,
) -> Path:
    """Write a phantom data set.

    A film depends on (seed, split, index) alone, so that any number of workers writes the same bytes and a larger set
    begins with the smaller one's films. Every 50 films of a split hold each of the ten findings eight times.

    Args:
        output: folder to write to; made if absent, files of the same names are replaced.
        training: number of films, likewise `validation` and `test`.
        seed: of every random choice.
        workers: processes; all processors by default.

    Returns:
        Path of `datalist.json`, written last: where it is, the set is complete.

    Raises:
        ValueError: a negative number of films, no film at all, or fewer than one worker.
    """
    counts = dict(zip(SPLITS, (training, validation, test), strict=True))
    cases = write_cases(partial(write_case, Path(output), seed), counts, workers, "film")
    output = Path(output)
    datalist = output / "datalist.json"
    datalist.unlink(missing_ok=True)
    for folder in ("films", "masks"):
        (output / folder).mkdir(parents=True, exist_ok=True)
    splits: dict[str, list[dict]] = {split: [] for split in SPLITS}
    for split, record in cases:
        splits[split].append(record)
    write_json_atomically(output / "prompts.json", prompt_table())
    description = f"Synthetic chest films made by scripts.phantoms.cxr, seed {seed}; no patient is behind them."
    save_datalist(datalist, "cxr", {k: v for k, v in splits.items() if v}, name="phantom-cxr", description=description)
    return datalist
