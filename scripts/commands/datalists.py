"""Verbs that make and check datalists."""

import inspect
from collections.abc import Callable
from typing import Any

from scripts.commands.command_line import UsageError, check_paths, known, whole, yes_or_no

MAX_LINES = 200
"""Faults of one kind that are printed; `--output` writes all."""


def check_datalist_command(path: str, *, output: str | None = None, workers: int | None = None) -> int:
    """Tell everything that is wrong with a datalist and the images, masks and reports in it, before a run finds out.

    Opens every file. Prints one line a fault: file, split, record, key, value, reason, way out. Exit status 1 if there
    are any.

    Examples:
        python -m scripts check-datalist data/mimic_cxr/datalist.json
        python -m scripts check-datalist data/mimic_cxr/datalist.json --output faults.csv --workers 16

    Args:
        path: the datalist.
        output: CSV file for all faults, however many; the screen shows at most 200 of a kind.
        workers: files read at a time; by default one a processor, at most 16.
    """
    threads = whole("workers", workers, least=1)
    check_paths(path=path, output=output)
    from scripts.datalists.datalist import check_datalist, load_datalist
    from scripts.files.faults import describe_faults, write_faults

    faults = check_datalist(path, threads)
    if output is not None:
        write_faults(output, faults)
    if faults:
        print(describe_faults(faults, MAX_LINES))
        return 1
    splits = load_datalist(path).splits
    counts = ", ".join(f"{split} {len(records):,}" for split, records in splits.items())
    print(f"{path}: no fault in {sum(map(len, splits.values())):,} records ({counts})")
    return 0


def datalist_command(source: str, *, source_dir: str, output: str, check_files: bool = True, **options: Any) -> int:
    """Make a datalist of a public data set's folder, as its owner distributes it, or of a hospital's own export, and check it.

    Sources: case-notes, chexlocalize, covid-rural, ct-folder, ct-rate, endoscopy, image-table, mimic-cxr, ms-cxr,
    nih-chestxray14, openi, rad-chestct, rsna-pneumonia. Each has options of its own: `python -m scripts datalist SOURCE --help`
    tells them.

    Examples:
        python -m scripts datalist rsna-pneumonia --source_dir rsna --output data/rsna/datalist.json
        python -m scripts datalist mimic-cxr --source_dir mimic-cxr-jpg --output data/mimic/datalist.json --views PA,AP
        python -m scripts datalist mimic-cxr --source_dir mimic-cxr-jpg --output datalist.json --nocheck_files

    Args:
        source: name of the data set.
        source_dir: its folder.
        output: datalist to write; paths in it are relative to its folder.
        check_files: open every image afterwards; without, `check-datalist` can do it another time.
        options: options of the source.
    """
    check = yes_or_no("check_files", check_files)
    check_paths(source_dir=source_dir, output=output)
    from scripts.datalists.datalist import save_datalist
    from scripts.datalists.sources import DOMAINS_OF, SOURCES

    build = SOURCES[known("source", source, SOURCES)]
    splits = build(source_dir, **_source_options(source, build, options))
    save_datalist(
        output,
        options.get("domain", DOMAINS_OF[source]),
        splits,
        name=source,
        description=f"Made by `python -m scripts datalist {source}`.",
    )
    print(f"wrote {output}: " + ", ".join(f"{split} {len(records):,}" for split, records in splits.items()))
    return check_datalist_command(output) if check else 0


def _source_options(source: str, build: Callable, options: dict[str, Any]) -> dict[str, Any]:
    """Options of a source's `build` from what was typed."""
    options_of = {name: p for name, p in inspect.signature(build).parameters.items() if name != "source_dir"}
    values = {}
    for name, typed in options.items():
        values[name] = _value(name, options_of[known(f"option of {source}", name, options_of)], typed)
    absent = [name for name, p in options_of.items() if p.default is p.empty and name not in values]
    if absent:
        raise UsageError(f"{source} needs {', '.join(f'--{name}' for name in absent)}; see datalist {source} --help")
    return values


def _value(name: str, parameter: inspect.Parameter, typed: Any) -> Any:
    """A source's option as the kind of thing that its default is; options without one are paths."""
    default = parameter.default
    if isinstance(default, bool):
        return yes_or_no(name, typed)
    check_paths(**{name: typed})
    if isinstance(default, tuple):
        return tuple(part.strip() for part in typed.split(","))
    if isinstance(default, int | float):
        try:
            return type(default)(typed)
        except ValueError as error:
            raise UsageError(f"--{name} is {typed}; give a number, as in --{name}={default}") from error
    return typed


def source_help(source: str) -> None:
    """Print what a source reads and its options."""
    from scripts.datalists.sources import SOURCES

    build = SOURCES[known("source", source, SOURCES)]
    print(f"python -m scripts datalist {source} --source_dir DIR --output FILE [...]\n\n{inspect.getdoc(build)}")
