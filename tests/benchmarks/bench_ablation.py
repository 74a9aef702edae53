"""What the sentence and word levels add: phantom trainings with all three losses and with the report-level loss alone.

    python -m tests.benchmarks ablation

Trains each variant with three seeds by the bundle's own commands (`phantom.json`, shortened to three epochs) on the films in
data/phantoms/cxr, and evaluates it on the test films. The report-level loss trains no sentence or word map, so its variant is also
read by the class activation map of its report head, and its better map counts. A run whose metrics.json exists is not repeated:
an interrupted comparison goes on where it stopped.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from scipy.stats import t

from tests.benchmarks.measure import print_table

BUNDLE = "bundles/cxr_localization"
RUNS = Path(BUNDLE) / "runs" / "ablation"
SEEDS, EPOCHS = (1, 2, 3), 3
VARIANTS = {"all levels": [], "report level alone": ["--sentence_weight", "0", "--word_weight", "0"]}
# Name of a reading, the variant that it reads, and the maps.
READINGS = [
    ("all levels", "all levels", None),
    ("report level alone, class activation map", "report level alone", "['report']"),
    ("report level alone, sentence and word maps", "report level alone", None),
]
MEASURES = ("cnr", "pointing", "miou")


def bundle(config: str, *arguments: str) -> None:
    configs = f"['{BUNDLE}/configs/{config}.json','{BUNDLE}/configs/phantom.json']"
    command = [sys.executable, "-m", "monai.bundle", "run", "--bundle_root", BUNDLE, "--config_file", configs, *arguments]
    log = RUNS / "log.txt"
    with open(log, "a", encoding="utf-8") as file:
        if subprocess.run(command, stdout=file, stderr=file, check=False).returncode:
            raise RuntimeError(f"{' '.join(command)} failed; the end of {log} tells why")


def trained(variant: str, seed: int, data: str) -> Path:
    """Checkpoint of a variant, trained if it is not there yet."""
    folder = RUNS / f"{variant.replace(' ', '_')}_{seed}"
    done = folder / "done"
    if not done.is_file():
        where = ["--dataset_dir", data, "--output_dir", str(folder), "--run_name", f"ablation {variant} {seed}"]
        bundle("train", *where, "--max_epochs", str(EPOCHS), "--seed", str(seed), *VARIANTS[variant])
        done.touch()
    return folder / "checkpoint_last.pt"


def evaluated(number: int, seed: int, data: str) -> dict[str, float]:
    """CNR, pointing game, mIoU and macro AUC of a reading of a variant."""
    _, variant, maps = READINGS[number]
    checkpoint = trained(variant, seed, data)
    folder = RUNS / f"reading{number}_{seed}"
    if not (folder / "metrics.json").is_file():
        choice = ["--map_levels", maps] if maps else []
        where = ["--dataset_dir", data, "--checkpoint", str(checkpoint), "--output_dir", str(folder)]
        bundle("evaluate", *where, "--training_run", str(checkpoint.parent), "--pictures", "0", *choice)
    metrics = json.loads((folder / "metrics.json").read_text())
    found = {measure: metrics["localization"]["all"][measure]["estimate"] for measure in MEASURES}
    return found | {"auc": metrics["classification"]["macro"]["auc"]["estimate"]}


def interval(values: list[float]) -> str:
    """Mean and 95% interval of the mean over seeds (Student's t)."""
    half = t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return f"{np.mean(values):.3f} ({np.mean(values) - half:.3f} to {np.mean(values) + half:.3f})"


def main(data: str = "data/phantoms/cxr") -> None:
    if not (Path(data) / "datalist.json").is_file():
        sys.exit(f"no films in {data}: python -m scripts phantoms cxr --output {data} --training 12000")
    RUNS.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    by_seed = [[evaluated(number, seed, data) for number in range(len(READINGS))] for seed in SEEDS]
    columns = [[run[number] for run in by_seed] for number in range(len(READINGS))]
    rows = [
        [name, *(interval([run[measure] for run in columns[number]]) for measure in (*MEASURES, "auc"))]
        for number, (name, _, _) in enumerate(READINGS)
    ]
    gains = [run[0]["cnr"] - max(run[1]["cnr"], run[2]["cnr"]) for run in by_seed]
    header = ("variant", "CNR", "pointing game", "mIoU", "macro AUC")
    title = f"Mean and 95% interval over seeds {', '.join(map(str, SEEDS))}; {EPOCHS} epochs"
    print_table(title, header, rows, [f"CNR of all levels minus the better report-level reading: {interval(gains)}; aim 0.4"])


if __name__ == "__main__":
    main()
