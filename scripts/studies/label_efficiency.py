"""How many labels a start saves: initialisations x shares of the labels x seeds, trained, evaluated and compared."""

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from scripts.figures.label_efficiency import label_efficiency_figure
from scripts.files.atomic import atomic_path
from scripts.files.text_table import text_table
from scripts.handlers.reports.tables import cell, write_csv
from scripts.metrics.label_efficiency import compare_cells, summarize_cell
from scripts.studies.bundle_runs import BundleRuns
from scripts.studies.plan import StudyPlan
from scripts.tracking.recorder import MLflowTracker

logger = logging.getLogger(__name__)


class LabelEfficiency:
    """A study that a plan describes: every cell is a training and an evaluation, in a folder and an MLflow run of its own.

        LabelEfficiency(StudyPlan.read(["label_efficiency.json"]), "runs/study", {"dataset_dir": "data/nasal"}).run()

    Interrupted, the next call goes on where it was: what has ended is kept, a training that was cut off goes on from its last
    checkpoint. Writes label_efficiency.csv (a row for each initialisation, share, slice and measure), comparisons.csv (paired
    differences) and label_efficiency.png into the folder and into the parent run.

    Args:
        plan: what is compared.
        folder: of the study.
        arguments: values for the configs of all commands, over the plan's, such as `dataset_dir`.
        jobs: commands at a time.
        threads: of each command; None leaves it to the machine.
    """

    def __init__(
        self, plan: StudyPlan, folder: str | Path, arguments: Mapping[str, Any], jobs: int = 1, threads: int | None = None
    ) -> None:
        self.plan, self.folder, self.jobs = plan, Path(folder), jobs
        self.arguments = {**plan.arguments, **arguments}
        run_id = self.folder / "mlflow_evaluation_run_id"
        self.tracker = MLflowTracker(
            Path(plan.screening_bundle).name,
            self.folder,
            "label efficiency",
            self.arguments.get("tracking_uri"),
            params={"plan": plan.model_dump(), **self.arguments},
            resume=run_id.is_file(),
        )
        self.runs = BundleRuns(self.folder, {**self.arguments, "parent_run": str(run_id)}, threads)

    def run(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Run what has not ended yet, and compare.

        Returns:
            the tables of label_efficiency.csv and comparisons.csv.

        Raises:
            UserError: a command failed, or the folder holds the runs of another study.
        """
        self.tracker.start()
        try:
            self.tracker.log_tags({"kind": "study"})
            pretrained = [(name, seed) for seed in self.plan.pretraining_seeds for name in self.plan.pretrainings]
            self._all("pretrainings", pretrained, self._pretrain)
            cells = [(*cell, seed) for seed in self.plan.seeds for cell in self._cells()]
            self._all("screenings", cells, self._screen)
            tables = self._compare()
        except BaseException:
            self.tracker.finish("FAILED")
            raise
        self.tracker.finish()
        return tables

    def _cells(self) -> list[tuple[str, float]]:
        return [(name, fraction) for name in self.plan.initialisations for fraction in self.plan.fractions]

    def _all(self, what: str, cells: Sequence[tuple], run: Callable[..., Path]) -> None:
        """Run all, `jobs` at a time; the first failure ends it once those that run have ended."""
        with ThreadPoolExecutor(self.jobs) as pool, tqdm(total=len(cells), desc=what, unit="run") as bar:
            waiting = [pool.submit(run, *cell) for cell in cells]
            try:
                for ended in as_completed(waiting):
                    ended.result()
                    bar.update()
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise

    def _pretrain(self, name: str, seed: int) -> Path:
        step = self.plan.pretrainings[name]
        configs = ["train", *self.plan.overlays, *step.overlays]
        arguments = {**step.arguments, "seed": seed}
        return self.runs.run(f"pretraining_{_file_name(name)}/seed_{seed}", self.plan.pretraining_bundle, configs, arguments)

    def _screen(self, name: str, fraction: float, seed: int) -> Path:
        step, bundle = self.plan.initialisations[name], self.plan.screening_bundle
        start = {}
        if step.pretraining is not None:
            start = {
                "pretrained_checkpoint": self._pretrain(step.pretraining, self.plan.pretraining_seed(seed)) / "checkpoint_last.pt"
            }
        cell = f"{_file_name(name)}/{fraction:g}/seed_{seed}"
        labels = {"label_fraction": fraction, "label_seed": seed, "seed": seed}
        trained = self.runs.run(cell, bundle, ["train", *self.plan.overlays, *step.overlays], {**step.arguments, **start, **labels})
        where = {"checkpoint": trained / "checkpoint_best.pt", "seed": seed, "parent_run": trained}
        return self.runs.run(f"{cell}/test", bundle, ["evaluate", *self.plan.overlays], where)

    def _compare(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        tables = {
            cell: {seed: pd.read_csv(self._screen(*cell, seed) / "per_exam.csv") for seed in self.plan.seeds}
            for cell in self._cells()
        }
        exams = next(iter(next(iter(tables.values())).values()))
        slices = {"all": np.ones(len(exams), bool)}
        held_out = exams["site"].isin(self.arguments.get("held_out_sites", ())).to_numpy()
        if held_out.any() and not held_out.all():
            slices |= {"held-out centres": held_out, "other centres": ~held_out}
        figures = [
            {"initialisation": name, "fraction": fraction, "slice": part, "measure": measure, **interval}
            for (name, fraction), seeds in tables.items()
            for part, chosen in slices.items()
            for measure, interval in summarize_cell(seeds, chosen).items()
        ]
        differences = [
            {"first": a, "fraction of first": share_a, "second": b, "fraction of second": share_b, "slice": part}
            | compare_cells(tables[a, share_a], tables[b, share_b], chosen)
            for a, share_a, b, share_b in self.plan.comparisons
            for part, chosen in slices.items()
        ]
        return self._write(pd.DataFrame(figures), pd.DataFrame(differences))

    def _write(self, figures: pd.DataFrame, differences: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
        write_csv(self.folder / "label_efficiency.csv", figures)
        write_csv(self.folder / "comparisons.csv", differences)
        figure = label_efficiency_figure(figures, "accuracy")
        with atomic_path(self.folder / "label_efficiency.png") as path:
            figure.savefig(path)
        for name in ("label_efficiency.csv", "comparisons.csv"):
            self.tracker.log_table(self.folder / name)
        self.tracker.log_figure("label_efficiency", figure)
        logger.info("results in %s", self.folder)
        return figures, differences


def _file_name(name: str) -> str:
    return re.sub(r"[^\w.-]+", "_", name)


def describe(figures: pd.DataFrame, differences: pd.DataFrame) -> str:
    """Both tables, for the terminal: accuracies of all exams, and the differences."""
    shown = figures[(figures["slice"] == "all") & (figures["measure"] == "accuracy")]
    shares = [f"{share:.0%} of the labels" for share in dict.fromkeys(shown["fraction"])]
    rows = [[name, *map(cell, rows.to_dict("records"))] for name, rows in shown.groupby("initialisation", sort=False)]
    lines = ["accuracy, mean over seeds (95% interval over seeds and patients)", text_table(["", *shares], rows)]
    for row in differences.to_dict("records"):
        first, second = (f"{row[key]} with {row[f'fraction of {key}']:.0%}" for key in ("first", "second"))
        lines.append(f"{first} minus {second}, {row['slice']}: {cell(row)}")
    return "\n".join(lines)
