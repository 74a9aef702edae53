"""Agreement of models with experts, and of experts with each other: a table, a plot, and MLflow runs beside the models' own.

`agreement.csv` has a line for each measure of each finding:

    comparison     "model" (against the experts that began from its predictions) or "experts" (every two that saw the same case)
    model_version  of the model; empty between experts
    finding        a label, or "all"
    measure        kappa       Cohen's, of answers about the case as a whole: of films and volumes present or absent (or uncertain),
                               of exams the diagnosis; "all" is the mean over findings, of exams that of all classes at once
                   dice, iou   of everything that is marked as the finding on an image or in a volume, masks; 0 where one side alone
                               has marked something
                   box_iou     the same of the boxes around, which there are without masks as well
                   acceptance  share of what the model saw that the expert has left as it was
                   seconds     median time that a review took
    estimate, lower, upper      with a 95% interval from 1,000 resamples of the patients; empty where there is none
    n, cases, patients          values, and the cases and patients they are of

Experts who correct a model's prediction have seen it: they agree with it more than those who begin with an empty page.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from integrations.review.figure import agreement_figure
from integrations.review.measures import weighted_kappa, weighted_median
from integrations.review.observations import (
    ACCEPTANCE,
    ALL,
    BOX_IOU,
    DICE,
    IOU,
    KAPPA,
    SECONDS,
    Observation,
    against_model,
    between_experts,
    each_class,
)
from integrations.review.record import RANDOM, REVIEWS, Review, ReviewError, read_reviews
from scripts.files.atomic import atomic_path, sha256_of
from scripts.metrics.bootstrap import Statistic, patient_interval, weighted_mean

if TYPE_CHECKING:  # loads PyTorch and MLflow
    from integrations.review.tracking import Tracked

STATISTICS: dict[str, Statistic] = {
    KAPPA: weighted_kappa,
    DICE: weighted_mean,
    IOU: weighted_mean,
    BOX_IOU: weighted_mean,
    ACCEPTANCE: weighted_mean,
    SECONDS: weighted_median,
}
COLUMNS = ["comparison", "model_version", "finding", "measure", "estimate", "lower", "upper", "n", "cases", "patients"]


def agreement_table(reviews: Sequence[Review]) -> pd.DataFrame:
    """Measure every model version against the experts, and the experts against each other; columns as in agreement.csv.

    Raises:
        ReadError: a mask that cannot be read.
        ReviewError: masks of one image in several shapes.
    """
    versions = sorted({review.model_version for review in reviews if review.model_version})
    rows = []
    for version in versions:
        observations = against_model([review for review in reviews if review.model_version == version])
        rows += [{"comparison": "model", "model_version": version} | row for row in _rows(each_class(observations))]
    rows += [{"comparison": "experts", "model_version": ""} | row for row in _rows(each_class(between_experts(reviews)))]
    return pd.DataFrame(rows, columns=COLUMNS)


def agree(
    path: str | Path,
    output: str | Path | None = None,
    *,
    only_random: bool = False,
    tracking_uri: str | None = None,
    run_id: str | None = None,
) -> tuple[pd.DataFrame, list["Tracked"]]:
    """Measure agreement, write agreement.csv and agreement.png, and track each model version's as an MLflow run.

    Args:
        path: reviews.jsonl, or the folder that `pull` wrote.
        output: folder for what is written; by default the reviews'.
        only_random: only cases whose place in the order of review was drawn at random.
        tracking_uri: store; None takes MLFLOW_TRACKING_URI, else mlflow.db in the project folder.
        run_id: training of the model, where its checkpoint does not tell.

    Raises:
        ReviewError: reviews that cannot be read or compared, none that was drawn at random, `run_id` for several models, or a
            store that does not answer; neither predictions nor a second expert to compare with.
        UserError: a mask that cannot be read; no such run.
    """
    from integrations.review.tracking import track, trainings

    source = Path(path) / REVIEWS if Path(path).is_dir() else Path(path)
    reviews = read_reviews(source)
    if only_random:
        reviews = [review for review in reviews if review.drawn == RANDOM]
        if not reviews:
            hint = "push with --random_share, or leave --only_random out"
            raise ReviewError(f"{source}: no reviewed case was drawn at random; {hint}")
    versions = sorted({review.model_version for review in reviews if review.model_version})
    if run_id is not None and len(versions) != 1:
        raise ReviewError(f"{source}: reviews of {len(versions)} models ({', '.join(versions)}); --run_id is for one alone")
    parents = trainings(versions, tracking_uri, run_id)
    table = agreement_table(reviews)
    if table.empty:
        reason = "no review began from a prediction, and no case was reviewed by two experts"
        raise ReviewError(f"{source}: nothing to compare: {reason}; see push and its --reviews_per_case")
    output = source.parent if output is None else Path(output)
    with atomic_path(output / "agreement.csv") as beside:
        table.to_csv(beside, index=False)
    with atomic_path(output / "agreement.png") as beside:
        agreement_figure(table).savefig(beside)
    facts = {"reviews": str(source), "reviews.sha256": sha256_of(source), "only_random": only_random}
    return table, [track(version, table, output, parents[version], facts, tracking_uri) for version in versions]


def summary(table: pd.DataFrame) -> str:
    """All findings together as text, a line for each comparison and measure; "-" where a measure does not exist."""
    whole = table[table["finding"] == ALL]
    parts = {
        "model": whole["model_version"].replace("", "between experts"),
        "measure": whole["measure"],
        "estimate": [_interval(row) for row in whole.to_dict("records")],
        "of": [f"n = {row['n']:,}, {row['patients']:,} patients" for row in whole.to_dict("records")],
    }
    return pd.DataFrame(parts).to_string(index=False, header=False)


def _interval(row: dict) -> str:
    if np.isnan(row["estimate"]):
        return "-"
    between = " to " if row["lower"] < 0 else "-"
    return "{estimate:.3f} ({lower:.3f}{between}{upper:.3f})".format(**row, between=between)


def _rows(observations: Sequence[Observation]) -> list[dict]:
    findings = sorted({one.finding for one in observations} - {ALL})
    rows = []
    for finding in (ALL, *findings):
        for measure, statistic in STATISTICS.items():
            chosen = [
                one
                for one in observations
                if one.measure == measure and (one.finding == finding or (finding == ALL and one.in_all))
            ]
            if chosen:
                patients = [one.patient_id for one in chosen]
                row = {"finding": finding, "measure": measure, **patient_interval(_values(chosen), patients, statistic)}
                cases = {one.case_id for one in chosen}
                rows.append(row | {"n": len(chosen), "cases": len(cases), "patients": len(set(patients))})
    return rows


def _values(observations: Sequence[Observation]) -> np.ndarray:
    """Values as statistics take them: numbers, or for kappa questions and answers numbered."""
    if observations[0].measure != KAPPA:
        return np.array([one.value for one in observations], float)
    words = np.array([one.value for one in observations])
    questions = np.unique(words[:, 0], return_inverse=True)[1]
    answers = np.unique(words[:, 1:], return_inverse=True)[1].reshape(-1, 2)
    return np.column_stack([questions, answers])
