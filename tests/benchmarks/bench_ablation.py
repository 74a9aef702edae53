"""What the sentence and word levels add: phantom trainings with all three losses and with the report-level loss alone.

    python -m tests.benchmarks ablation

Trains each variant with three seeds by the bundle's own commands (`phantom.json`, shortened to three epochs) on the films in
data/phantoms/cxr, and evaluates it on the test films. The report-level loss trains no sentence or word map, so its variant is also
read by the class activation map of its report head, and its better map counts.
"""

import sys
from pathlib import Path

from tests.benchmarks.measure import print_table
from tests.benchmarks.study import Study, interval

SEEDS, EPOCHS = (1, 2, 3), 3
VARIANTS = {"all levels": {}, "report level alone": {"sentence_weight": 0, "word_weight": 0}}
# Name of a reading, the variant that it reads, and the maps.
READINGS = [
    ("all levels", "all levels", None),
    ("report level alone, class activation map", "report level alone", "['report']"),
    ("report level alone, sentence and word maps", "report level alone", None),
]
MEASURES = ("cnr", "pointing", "miou")


def evaluated(study: Study, number: int, seed: int) -> dict[str, float]:
    """CNR, pointing game, mIoU and macro AUC of a reading of a variant."""
    _, variant, maps = READINGS[number]
    checkpoint = study.trained(variant, seed, max_epochs=EPOCHS, **VARIANTS[variant])
    choice = {"map_levels": maps} if maps else {}
    metrics = study.evaluated(f"reading{number}", checkpoint, pictures=0, **choice)
    found = {measure: metrics["localization"]["all"][measure]["estimate"] for measure in MEASURES}
    return found | {"auc": metrics["classification"]["macro"]["auc"]["estimate"]}


def main(data: str = "data/phantoms/cxr") -> None:
    if not (Path(data) / "datalist.json").is_file():
        sys.exit(f"no films in {data}: python -m scripts phantoms cxr --output {data} --training 12000")
    study = Study("bundles/cxr_localization", "ablation", data)
    by_seed = [[evaluated(study, number, seed) for number in range(len(READINGS))] for seed in SEEDS]
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
