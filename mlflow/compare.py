"""`python mlflow/compare.py RUN_ID RUN_ID ...`: which run is better, by how much, and in what they differ.

Exit status: 0 done; 1 something about the runs or their store, with a message that says what; 2 the command is not understood.
"""

import sys
from pathlib import Path

# This folder comes first on the path, the project last: `import mlflow` is the installed package, never this folder.
sys.path.append(str(Path(__file__).resolve().parents[1]))

from scripts.commands.command_line import UsageError, check_paths, run_command, whole, yes_or_no
from scripts.files.atomic import write_atomically
from scripts.tracking.address import store_address


def compare(
    *run_ids: str,
    experiments: str | None = None,
    metric: str | None = None,
    lowest: bool | None = None,
    top: int = 1,
    tracking_uri: str | None = None,
    output: str = "comparison.html",
) -> None:
    """Compare runs, or the best of each experiment, with the first of them: one page, and a table here.

    Metrics with intervals; paired differences with p-values on the cases that runs share; cost; pictures side by side; settings,
    revisions, packages and machines that differ. The page is one file; it may show patients' images if the runs do.

    Examples:
        python mlflow/compare.py 9f45b10d77084abb94fbabe2ccb74d35 41b3d1719116428a9e2346a6cc6dda4d
        python mlflow/compare.py --experiments cxr_localization --metric test/auc_macro --top 5
        python mlflow/compare.py --experiments all --metric val/loss --tracking_uri http://team:5000 --output best.html

    Args:
        run_ids: ids as MLflow shows them; the first is the reference.
        experiments: names with commas, or all: their best finished runs by --metric.
        metric: full name of a metric.
        lowest: the lowest value is the best; by default so for losses, calibration errors and false regions.
        top: how many of each experiment.
        tracking_uri: store or server; by default MLFLOW_TRACKING_URI, else mlflow.db in the project folder.
        output: page to write.
    """
    check_paths(tracking_uri=tracking_uri, output=output)
    best_of = whole("top", top, least=1)
    low = None if lowest is None else yes_or_no("lowest", lowest)
    if experiments is not None and metric is None:
        raise UsageError("--experiments needs --metric, the name by which the best run is chosen, as in --metric test/auc_macro")
    if experiments is None and (metric is not None or low is not None or best_of != 1):
        raise UsageError("--metric, --lowest and --top choose runs of --experiments, which is not given")
    if experiments is None and len(set(run_ids)) < 2:
        raise UsageError("give two run ids or more, or --experiments NAMES --metric NAME; --help tells more")
    try:
        address, _ = store_address(tracking_uri)
    except ValueError as error:
        raise UsageError(str(error)) from error
    names = None if experiments == "all" else [name.strip() for name in (experiments or "").split(",")]
    from scripts.tracking.compare.differences import low_is_good
    from scripts.tracking.compare.page import page_of
    from scripts.tracking.compare.report import compare_runs
    from scripts.tracking.compare.store import ComparisonError, RunStore
    from scripts.tracking.compare.terminal import text_of

    store = RunStore(address)
    runs = store.runs(list(dict.fromkeys(run_ids)))
    if experiments is not None:
        known = {run.id for run in runs}
        chosen = store.best(names, metric, low_is_good(metric) if low is None else low, best_of)
        runs += [run for run in chosen if run.id not in known]
    if len(runs) < 2:
        raise ComparisonError(
            f"one run alone, {runs[0].id}, cannot be compared; ask for more with --top or name another experiment"
        )
    found = compare_runs(runs, address)
    write_atomically(output, page_of(found, address))
    print(f"{text_of(found)}\n\nwrote {output}")


def main() -> int:
    """Run the command line; returns the exit status."""
    return run_command(compare, "compare.py", sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
