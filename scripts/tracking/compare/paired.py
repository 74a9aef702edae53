"""What two runs say about the same cases: the difference of their measures, patients resampled together."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scripts.metrics.bootstrap import Statistic, by_finding, macro, paired_bootstrap, weighted_auc, weighted_mean
from scripts.metrics.summaries.localization import MEASURES as PLACE_MEASURES
from scripts.metrics.summaries.screening import MEASURES as SCREENING_MEASURES
from scripts.metrics.summaries.screening import screening_scores, screening_values

_IDENTITY = ("case_id", "patient_id", "kind", "label", "anatomy", "text", "image_index")
_TRUTH = ("truth", "area_fraction")


class Comparison(NamedTuple):
    """One measure of a run minus the same of the reference, on their common cases.

    table: file that holds the cases. cases: lines that both runs have with the same truth; patients: of these.
    lower, upper, p_value: of the difference, see `paired_bootstrap`.
    """

    table: str
    measure: str
    cases: int
    patients: int
    reference: float
    value: float
    difference: float
    lower: float
    upper: float
    p_value: float


class _Part(NamedTuple):
    """Values of both runs, [N, ...], row i of both the same case, and the statistic, [R] or [R, K] with K measures."""

    measures: Sequence[str]
    reference: NDArray
    other: NDArray
    patients: Sequence[str]
    statistic: Statistic


def compare_cases(reference: Mapping[str, pd.DataFrame], other: Mapping[str, pd.DataFrame]) -> tuple[list[Comparison], list[str]]:
    """Compare the tables of single cases that two runs share.

    Args:
        reference, other: per_*.csv of each run by file name, as the reports of `scripts.handlers` write them.

    Returns:
        differences, and why there are none or fewer than one might expect, in words.
    """
    shared = [name for name in reference if name in other]
    if not shared:
        names = [", ".join(sorted(tables)) or "none" for tables in (other, reference)]
        return [], [f"no table of single cases in common (it has {names[0]}, the reference {names[1]})"]
    found: list[Comparison] = []
    notes: list[str] = []
    for name in shared:
        first, second, said = _aligned(reference[name], other[name])
        notes += [f"{name}: {words}" for words in said]
        if not len(first):
            continue
        parts = list(_parts(first, second))
        if not parts:
            notes.append(f"{name}: nothing left that could be compared")
        for part in parts:
            if len(set(part.patients)) < 2:
                notes.append(f"{name}: {', '.join(part.measures)} not compared, one patient alone cannot be resampled")
            else:
                found += _compared(name, part)
    return found, notes


def _aligned(first: pd.DataFrame, second: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """The lines that both tables have, in the same order, those with different truth left out."""
    keys = [name for name in _IDENTITY if name in first and name in second]
    if "case_id" not in keys or "patient_id" not in keys:
        return first.iloc[:0], second.iloc[:0], ["has no case_id and patient_id in both runs"]
    first, second = _by_identity(first, keys), _by_identity(second, keys)
    common = first.index.intersection(second.index, sort=False)
    if not len(common):
        return first.iloc[:0], second.iloc[:0], [f"no common case ({len(second):,} lines here, {len(first):,} in the reference)"]
    notes = []
    missed = len(first) + len(second) - 2 * len(common)
    if missed:
        notes.append(
            f"{len(common):,} common lines; {len(second) - len(common):,} only here, {len(first) - len(common):,} only there"
        )
    first, second = first.loc[common], second.loc[common]
    same = np.ones(len(common), bool)
    for name in (name for name in _TRUTH if name in first and name in second):
        same &= _equal(first[name], second[name])
    if not same.all():
        notes.append(f"{(~same).sum():,} lines left out, their truth differs between the runs")
    return first[same].reset_index(drop=True), second[same].reset_index(drop=True), notes


def _by_identity(table: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Indexed by what a line is about; lines that are about the same are numbered."""
    names = table[keys].fillna("").astype(str)
    number = names.groupby(keys, sort=False).cumcount()
    return table.set_index(pd.MultiIndex.from_frame(names.assign(number=number)))


def _equal(first: pd.Series, second: pd.Series) -> NDArray[np.bool_]:
    a, b = first.to_numpy(), second.to_numpy()
    if pd.api.types.is_numeric_dtype(first) and pd.api.types.is_numeric_dtype(second):
        return np.isclose(a, b, equal_nan=True)
    return np.array([x == y or (pd.isna(x) and pd.isna(y)) for x, y in zip(a, b, strict=True)])


def _parts(first: pd.DataFrame, second: pd.DataFrame) -> Iterator[_Part]:
    """What a table measures, told by its columns."""
    columns = set(first.columns) & set(second.columns)
    if "cnr" in columns:
        yield from _places(first, second)
    elif "hit" in columns:
        yield from _choices(first, second)
    elif {"label", "truth"} <= columns:
        yield from _labels(first, second)
    elif {"truth", "decision"} <= columns:
        yield from _screening(first, second)
    elif "truth" in columns:
        yield from _diagnoses(first, second)


def _places(first: pd.DataFrame, second: pd.DataFrame) -> Iterator[_Part]:
    """Heat maps on findings: per_case.csv of films, per_finding.csv of exams."""
    placed = (first["kind"] == "present") & first["cnr"].notna() & second["cnr"].notna()
    if not placed.any():
        return
    first, second = first[placed], second[placed]
    # Without calibration nothing is said about presence, and no region is drawn.
    drawn = all(table["probability"].notna().any() for table in (first, second))
    measures = [name for name in PLACE_MEASURES if name in first and name in second and (drawn or name != "region_iou")]
    findings = first["label"].tolist()

    def means(values: NDArray, weights: NDArray) -> NDArray:
        spread = [by_finding(column, findings)[0] for column in values.T]
        over_findings = [macro(weighted_mean)(columns, weights) for columns in spread]
        return np.column_stack([weighted_mean(values, weights), *over_findings])

    names = [*measures, *(f"{name}_macro" for name in measures)]
    yield _Part(names, first[measures].to_numpy(float), second[measures].to_numpy(float), first["patient_id"].tolist(), means)


def _choices(first: pd.DataFrame, second: pd.DataFrame) -> Iterator[_Part]:
    """Sentences' choices of an image, per_sentence.csv."""
    for kind, part in first.groupby("kind"):
        values = [table.loc[part.index, "hit"].to_numpy(float) for table in (first, second)]
        yield _Part([str(kind)], *values, part["patient_id"].tolist(), weighted_mean)


def _labels(first: pd.DataFrame, second: pd.DataFrame) -> Iterator[_Part]:
    """Findings asked for by prompts: per_label.csv, and per_case.csv of volumes."""
    score = "score" if "score" in first and "score" in second else "probability"
    wide = [table.pivot(index=["case_id", "patient_id"], columns="label", values=[score, "truth"]) for table in (first, second)]
    values = [np.stack([table[score].to_numpy(float), table["truth"].to_numpy(float)], axis=-1) for table in wide]
    yield _Part(["auc_macro"], *values, wide[0].index.get_level_values("patient_id").tolist(), macro(weighted_auc))


def _screening(first: pd.DataFrame, second: pd.DataFrame) -> Iterator[_Part]:
    """Exams screened by a trained classifier, per_exam.csv of npc_screening."""
    classes = [name for name in first if name.startswith("probability ") and name in second]
    columns = ["truth", "decision", *classes]
    values = [table[columns].to_numpy(float)[:, None] for table in (first, second)]
    yield _Part(SCREENING_MEASURES, *values, first["patient_id"].tolist(), screening_scores)


def _diagnoses(first: pd.DataFrame, second: pd.DataFrame) -> Iterator[_Part]:
    """Exams' classes from prompts, per_exam.csv of nasal_pretraining."""
    classes = [name for name in first if name not in ("case_id", "patient_id", "truth") and name in second]
    known = first["truth"].isin(classes)
    if len(classes) < 2 or not known.any():
        return
    first, second = first[known], second[known]
    values = [screening_values(first["truth"].map(classes.index), table[classes].to_numpy(float)) for table in (first, second)]
    names = [f"diagnosis_{name}" for name in SCREENING_MEASURES]
    yield _Part(names, *values, first["patient_id"].tolist(), screening_scores)


def _compared(table: str, part: _Part) -> Iterator[Comparison]:
    found = paired_bootstrap(part.other, part.reference, part.patients, part.statistic)
    cases, patients = len(part.patients), len(set(part.patients))
    # As in the difference, a value that is NaN in one run counts in neither.
    unknown, once = np.isnan(part.reference) | np.isnan(part.other), np.ones((1, cases))
    both = [np.where(unknown, np.nan, values) for values in (part.reference, part.other)]
    estimates = [np.atleast_1d(part.statistic(values, once)[0]) for values in both]
    for measure, *numbers in zip(part.measures, *estimates, *map(np.atleast_1d, found), strict=True):
        yield Comparison(table, measure, cases, patients, *(float(number) for number in numbers))
