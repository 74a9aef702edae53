"""`python -m scripts VERB ...`: data sets, phantoms, weights and tracked runs from the command line.

Exit status: 0 done; 1 something about the data, with a message that says what; 2 the command itself is not understood.
"""

import inspect
import sys
from collections.abc import Callable
from typing import Any

from scripts.commands.command_line import UsageError, check_paths, known, numbers, run_command, whole, yes_or_no
from scripts.commands.export import export_bundle_command
from scripts.commands.runs import find_run_command, register_model_command, reproduce_command

PHANTOM_TASKS = ("cxr", "ct", "nasal")
WEIGHT_METHODS = ("afloc", "fvlm")
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

    Sources: mimic-cxr, ms-cxr, rsna-pneumonia, chexlocalize, nih-chestxray14, covid-rural, openi, case-notes, ct-rate,
    rad-chestct, ct-folder, endoscopy. Each has options of its own: `python -m scripts datalist SOURCE --help` tells them.

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
    from scripts.datalists.sources import SOURCES, task_of

    build = SOURCES[known("source", source, SOURCES)]
    splits = build(source_dir, **_source_options(source, build, options))
    save_datalist(output, task_of(source), splits, name=source, description=f"Made by `python -m scripts datalist {source}`.")
    print(f"wrote {output}: " + ", ".join(f"{split} {len(records):,}" for split, records in splits.items()))
    return check_datalist_command(output) if check else 0


def preprocess_ct_command(
    datalist: str,
    *,
    output: str,
    anatomies: str = "ct_rate",
    label_table: str = "totalsegmentator_v2",
    spacing: str = "1,1,3",
    min_size: str = "112,256,352",
    segment: bool = False,
    language_model: str | None = None,
    workers: int | None = None,
) -> None:
    """Prepare CT volumes, their anatomy masks and reports for training: resampled, cropped, texts by anatomy.

    Goes on where a stopped run was. Volumes that cannot be prepared are set aside in rejected.jsonl with the reason.

    Examples:
        python -m scripts preprocess-ct data/ct_rate/raw.json --output data/ct_rate
        python -m scripts preprocess-ct raw.json --output data/mine --anatomies wide --segment --workers 8

    Args:
        datalist: records with image, report and, unless --segment, anatomy_mask.
        output: folder for the prepared volumes, masks and datalist.json.
        anatomies: ct_rate (4), wide (15), or the path of a table of your own.
        label_table: what the masks' values stand for: totalsegmentator_v2, or the path of a table.
        spacing: mm in x, y, z.
        min_size: voxels in z, y, x that a prepared volume has at least: what the network is trained on.
        segment: let TotalSegmentator, if installed, segment volumes that have no mask.
        language_model: folder or hub id of an instruction model that takes the reports apart; by default words do.
        workers: processes; by default one a processor.
    """
    check_paths(datalist=datalist, output=output, anatomies=anatomies, label_table=label_table, language_model=language_model)
    grid, least = numbers("spacing", spacing, 3, float), numbers("min_size", min_size, 3, int)
    processes, segmented = whole("workers", workers, least=1), yes_or_no("segment", segment)
    from scripts.preparation.prepare import prepare_datalist

    path = prepare_datalist(datalist, output, anatomies, label_table, grid, least, segmented, processes, language_model)
    print(f"wrote {path}")


def phantoms_command(
    task: str,
    *,
    output: str,
    training: int | None = None,
    validation: int | None = None,
    test: int | None = None,
    seed: int = 1,
    workers: int | None = None,
) -> None:
    """Draw synthetic cases with reports and ground truth, and their datalist: no data set and no permission needed.

    Tasks: cxr, ct, nasal. CT volumes come as a hospital has them, with masks and whole reports: `preprocess-ct` comes next.
    Without numbers: 3,000 + 300 + 400 films, 2,000 + 100 + 300 volumes, 2,000 + 200 + 400 exams.

    Examples:
        python -m scripts phantoms cxr --output data/phantom_cxr
        python -m scripts phantoms ct --output data/phantom_ct_raw --training 1500
        python -m scripts phantoms nasal --output data/phantom_nasal
        python -m scripts phantoms cxr --output /tmp/few --training 20 --validation 4 --test 4 --seed 7

    Args:
        task: what to draw.
        output: folder for datalist.json and the images.
        training: cases to train on.
        validation: cases to choose checkpoints by.
        test: cases to judge by.
        seed: the same seed draws the same cases.
        workers: processes; by default one a processor.
    """
    known("task", task, PHANTOM_TASKS)
    check_paths(output=output)
    numbers = {"training": training, "validation": validation, "test": test, "seed": seed}
    numbers = {name: whole(name, value, least=0) for name, value in numbers.items() if value is not None}
    processes = whole("workers", workers, least=1)
    if task == "ct":
        from scripts.phantoms.ct import write_phantoms
    elif task == "nasal":
        from scripts.phantoms.nasal import write_phantoms
    else:
        from scripts.phantoms.cxr import write_phantoms
    print(f"wrote {write_phantoms(output, **numbers, workers=processes)}")


def convert_weights_command(method: str, checkpoint: str, *, output: str, attention_heads: int | None = None) -> None:
    """Convert a published checkpoint into a file of this project's network; only tensors are taken from it.

    Methods: afloc, fvlm. The latter is the released CT-RATE model of 4 organs.

    Examples:
        python -m scripts convert-weights afloc afloc.ckpt --output bundles/cxr_localization/models/afloc.pt
        python -m scripts convert-weights fvlm model.pth --output bundles/ct_anatomy_zeroshot/models/fvlm.pt

    Args:
        method: whose checkpoint it is.
        checkpoint: the published file.
        output: file to write, for `torch.load(weights_only=True)`.
        attention_heads: of the text encoder, where its size does not follow BERT's one for 64 dimensions.
    """
    known("method", method, WEIGHT_METHODS)
    check_paths(checkpoint=checkpoint, output=output)
    heads = whole("attention_heads", attention_heads, least=1)
    if method == "fvlm":
        from scripts.weights.fvlm import convert
    else:
        from scripts.weights.afloc import convert
    for key, value in convert(checkpoint, output, heads).items():
        print(f"{key}: {value}")


def export_weights_command(checkpoint: str, *, output: str, half: bool = False) -> None:
    """Make a training's checkpoint ready to hand on: network and tokenizer alone, a fraction of the size.

    Examples:
        python -m scripts export-weights bundles/cxr_localization/runs/train/checkpoint_best.pt --output models/mine
        python -m scripts export-weights runs/train/checkpoint_last.pt --output models/mine --half

    Args:
        checkpoint: file that a training wrote, with `text_model` beside it.
        output: folder for model.pt and text_model; `evaluate.json` adds calibration.pt.
        half: weights in 16 bits.
    """
    check_paths(checkpoint=checkpoint, output=output)
    halved = yes_or_no("half", half)
    from scripts.weights import export_weights

    path = export_weights(checkpoint, output, halved)
    print(f"wrote {path}, {path.stat().st_size / 2**20:.1f} MiB")


def label_efficiency_command(
    study: str, *, output: str, dataset_dir: str | None = None, jobs: int = 1, threads: int | None = None
) -> None:
    """Compare initialisations by how many labels they need: trains and evaluates every cell, and draws the curve.

    Goes on where a stopped study was. Writes label_efficiency.csv, comparisons.csv and label_efficiency.png; every training is an
    MLflow run beneath the study's own.

    Examples:
        python -m scripts label-efficiency bundles/npc_screening/configs/label_efficiency.json --output runs/study

    Args:
        study: JSON file that says what is compared; several with commas, later ones over earlier ones.
        output: folder of the study.
        dataset_dir: data set, in place of the configs' own.
        jobs: trainings at a time.
        threads: processor threads of each training; the machine's choice by default.
    """
    at_a_time, of_each = whole("jobs", jobs, least=1), whole("threads", threads, least=1)
    check_paths(study=study, output=output, dataset_dir=dataset_dir)
    from scripts.studies import LabelEfficiency, StudyPlan, describe

    plan = StudyPlan.read([file.strip() for file in study.split(",")])
    arguments = {} if dataset_dir is None else {"dataset_dir": dataset_dir}
    figures, differences = LabelEfficiency(plan, output, arguments, at_a_time, of_each).run()
    print(describe(figures, differences))


VERBS = {
    "check-datalist": check_datalist_command,
    "datalist": datalist_command,
    "preprocess-ct": preprocess_ct_command,
    "phantoms": phantoms_command,
    "convert-weights": convert_weights_command,
    "export-weights": export_weights_command,
    "export-bundle": export_bundle_command,
    "label-efficiency": label_efficiency_command,
    "reproduce": reproduce_command,
    "register-model": register_model_command,
    "find-run": find_run_command,
}


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


def _source_help(source: str) -> None:
    from scripts.datalists.sources import SOURCES

    build = SOURCES[known("source", source, SOURCES)]
    print(f"python -m scripts datalist {source} --source_dir DIR --output FILE [...]\n\n{inspect.getdoc(build)}")


def main() -> int:
    """Run the command line; returns the exit status."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["datalist"] and {"--help", "-h"} & set(arguments[2:]):
        return run_command(_source_help, "scripts", [arguments[1]])
    return run_command(VERBS, "scripts", arguments)


if __name__ == "__main__":
    sys.exit(main())
