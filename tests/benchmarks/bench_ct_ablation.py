"""What contrast by anatomy and calibrated targets add: phantom trainings with each, with neither, and with soft targets of a pair.

    python -m tests.benchmarks ct_ablation

Trains each variant with three seeds by the bundle's own commands (`phantom.json`, shortened) on the volumes in data/phantoms/ct and
evaluates it zero-shot on the test volumes.
"""

import sys
from pathlib import Path

from tests.benchmarks.measure import print_table
from tests.benchmarks.study import Study, interval

SEEDS = (1, 2, 3)
# Overlays and arguments of each variant.
VARIANTS = {
    "by anatomy, calibrated targets": ((), {}),
    "by anatomy, plain targets": ((), {"calibrated": False}),
    "by anatomy, soft targets of a pair": ((), {"co_teaching_weight": 0.3}),
    "whole volumes (CLIP)": (("global",), {}),
}


def macro_auc(study: Study, variant: str, seed: int, epochs: int) -> float:
    overlays, arguments = VARIANTS[variant]
    checkpoint = study.trained(variant, seed, overlays, max_epochs=epochs, **arguments)
    metrics = study.evaluated("test", checkpoint, overlays, calibrate=False, calibration=False)
    return metrics["macro"]["auc"]["estimate"]


def main(data: str = "data/phantoms/ct", epochs: int = 5) -> None:
    if not (Path(data) / "datalist.json").is_file():
        sys.exit(f"no volumes in {data}: the bundle's docs tell how to draw and prepare them")
    study = Study("bundles/ct_anatomy_zeroshot", f"ablation_{epochs}", data)
    found = {variant: [] for variant in VARIANTS}
    for seed in SEEDS:
        for variant, aucs in found.items():
            aucs.append(macro_auc(study, variant, seed, epochs))
    full = next(iter(found.values()))
    rows = [
        [variant, interval(aucs), interval([best - auc for best, auc in zip(full, aucs, strict=True)]) if aucs is not full else ""]
        for variant, aucs in found.items()
    ]
    title = f"Zero-shot macro AUC, mean and 95% interval over seeds {', '.join(map(str, SEEDS))}; {epochs} epochs"
    print_table(title, ("variant", "macro AUC", "the first minus this one"), rows, ["aims: .03 over plain targets, .10 over CLIP"])


if __name__ == "__main__":
    main()
