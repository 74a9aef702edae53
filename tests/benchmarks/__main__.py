"""Run benchmarks: `python -m tests.benchmarks` those of speed and memory; by name, `python -m tests.benchmarks prompts phantoms`.

They assert nothing; each prints one table with its targets beside. Run them on a machine that does nothing else. `phantoms`,
`ablation` and those of other tasks with these names train networks (a quarter of an hour to two hours on two cores): they run by
name only.
"""

import argparse
import importlib

BENCHMARKS = ("alignment", "training_step", "prompts", "gpu", "tracking", "volumes", "ct", "exam", "label_studio", "compare")
STUDIES = ("phantoms", "ablation", "ct_phantoms", "ct_ablation", "nasal_phantoms", "nasal_ablation", "stores")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of: {', '.join(BENCHMARKS + STUDIES)}")
    names = parser.parse_args().names
    unknown = sorted(set(names) - set(BENCHMARKS + STUDIES))
    if unknown:
        parser.error(f"no benchmark named {', '.join(unknown)}; choose from {', '.join(BENCHMARKS + STUDIES)}")
    for name in names or BENCHMARKS:
        # Imported one at a time: MLflow, say, is slow to import and nothing to the others.
        importlib.import_module(f"tests.benchmarks.bench_{name}").main()


if __name__ == "__main__":
    main()
