"""What NasVLM's region terms and its treatment of duplicates add: phantom pretrainings with and without.

    python -m tests.benchmarks nasal_ablation

Trains each variant with three seeds by the bundle's own commands (`phantom.json`: eight epochs) on the exams in data/phantoms/nasal
and evaluates it on the test exams.
"""

import sys
from pathlib import Path
from typing import Any

from tests.benchmarks.measure import print_table
from tests.benchmarks.study import Study, interval

SEEDS = (1, 2, 3)
VARIANTS: dict[str, dict[str, Any]] = {
    "all terms": {},
    "no region term": {"region_weight": 0},
    "duplicates as negatives": {"duplicates": "negatives"},
}
MEASURES = {
    "assignment": lambda metrics: metrics["assignment"]["all"]["hit"]["estimate"],
    "image selection": lambda metrics: metrics["selection"]["all"]["hit"]["estimate"],
    "pointing game": lambda metrics: metrics["localization"]["all"]["pointing"]["estimate"],
    "R@1": lambda metrics: metrics["retrieval"]["exam_to_report"]["recall_at_1"]["estimate"],
    "zero-shot accuracy": lambda metrics: metrics["diagnosis"]["accuracy"]["estimate"],
}


def main(data: str = "data/phantoms/nasal") -> None:
    if not (Path(data) / "datalist.json").is_file():
        sys.exit(f"no exams in {data}: python -m scripts phantoms nasal --output {data}")
    study = Study("bundles/nasal_pretraining", "ablation", data)
    found: dict[str, list[dict[str, float]]] = {variant: [] for variant in VARIANTS}
    for seed in SEEDS:
        for variant, arguments in VARIANTS.items():
            metrics = study.evaluated("test", study.trained(variant, seed, **arguments), pictures=0)
            found[variant].append({name: read(metrics) for name, read in MEASURES.items()})
    rows = [[variant, *(interval([run[name] for run in runs]) for name in MEASURES)] for variant, runs in found.items()]
    title = f"Mean and 95% interval over seeds {', '.join(map(str, SEEDS))}"
    print_table(
        title,
        ("variant", *MEASURES),
        rows,
        ["aims: assignment .20 above that without the region terms; pointing .7; selection .85"],
    )


if __name__ == "__main__":
    main()
