"""Two runs on the same cases: right differences, honest about what cannot be compared."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, roc_auc_score

from scripts.metrics.bootstrap import paired_bootstrap
from scripts.tracking.compare.paired import compare_cases
from tests.tracking.compare.tables import label_table, phrase_table

NAME = "per_case.csv"


def by_measure(first, second, name=NAME):
    found, notes = compare_cases({name: first}, {name: second})
    return {row.measure: row for row in found}, notes


def test_a_better_run_is_better_by_what_it_is_better():
    found, notes = by_measure(phrase_table(), phrase_table(shift=0.2))
    assert notes == []
    assert set(found) == {m + end for m in ("pointing", "cnr", "miou", "mdice", "region_iou") for end in ("", "_macro")}
    row = found["cnr"]
    assert (row.cases, row.patients) == (30, 30)  # the absent phrases have no place
    assert row.difference == pytest.approx(0.2) and row.value - row.reference == pytest.approx(0.2)
    assert row.lower == pytest.approx(0.2) and row.upper == pytest.approx(0.2) and row.p_value < 0.01


def test_the_same_table_differs_by_nothing():
    found, _ = by_measure(phrase_table(), phrase_table())
    assert all(row.difference == 0 and row.p_value == 1 for row in found.values())


def test_lines_are_matched_whatever_their_order():
    first, second = phrase_table(seed=1), phrase_table(seed=1, shift=0.1)
    found, _ = by_measure(first, second.sample(frac=1, random_state=3))
    assert found["miou"].difference == pytest.approx(0.1) and found["miou"].lower == pytest.approx(0.1)


def test_numbers_are_those_of_the_paired_bootstrap_over_patients():
    first, second = phrase_table(seed=1), phrase_table(seed=1)
    rng = np.random.default_rng(5)
    second["cnr"] += rng.normal(0.02, 0.1, len(second))
    for table in (first, second):  # two findings a patient
        table["patient_id"] = [f"patient-{number // 4}" for number in range(len(table))]
    found, _ = by_measure(first, second)
    there = first["kind"] == "present"
    patients = first.loc[there, "patient_id"].tolist()
    expected = paired_bootstrap(second.loc[there, "cnr"], first.loc[there, "cnr"], patients)
    row = found["cnr"]
    assert row[6:] == pytest.approx(tuple(expected)) and row.patients == 15


def test_only_common_cases_count_and_the_others_are_told():
    found, notes = by_measure(phrase_table(patients=30), phrase_table(patients=30, seed=0, shift=0.3).iloc[20:])
    assert found["cnr"].cases == 20 and found["cnr"].difference == pytest.approx(0.3)
    assert notes == ["per_case.csv: 40 common lines; 0 only here, 20 only there"]


def test_no_common_case():
    found, notes = by_measure(phrase_table(), phrase_table(first=100))
    assert found == {} and notes == ["per_case.csv: no common case (60 lines here, 60 in the reference)"]


def test_no_common_table():
    found, notes = compare_cases({"per_case.csv": phrase_table()}, {})
    assert found == [] and notes == ["no table of single cases in common (it has none, the reference per_case.csv)"]


def test_other_truth_is_no_comparison():
    """Scored against masks in one run, against boxes in the other."""
    boxes = phrase_table()
    boxes.loc[:19, "area_fraction"] *= 1.3
    found, notes = by_measure(phrase_table(), boxes)
    assert found["cnr"].cases == 20 and notes == ["per_case.csv: 10 lines left out, their truth differs between the runs"]
    boxes["area_fraction"] *= 1.3
    found, notes = by_measure(phrase_table(), boxes)
    assert found == {} and "per_case.csv: nothing left that could be compared" in notes


def test_a_map_that_is_missing_in_one_run_counts_in_neither():
    first, second = phrase_table(), phrase_table(shift=0.1)
    second.loc[0, "cnr"] = np.nan
    found, _ = by_measure(first, second)
    assert found["cnr"].cases == 29 and found["cnr"].difference == pytest.approx(0.1)


def test_one_patient_cannot_be_resampled():
    first, second = phrase_table(), phrase_table(shift=0.1)
    for table in (first, second):
        table["patient_id"] = "patient-0"
    found, notes = by_measure(first, second)
    assert found == {} and "one patient alone cannot be resampled" in notes[0]


def test_regions_without_calibration_are_left_out():
    first, second = phrase_table(), phrase_table()
    second["probability"] = np.nan
    found, _ = by_measure(first, second)
    assert "cnr" in found and "region_iou" not in found


def test_findings_from_prompts():
    first, second = label_table(noise=2.0), label_table(noise=0.5)
    found, notes = by_measure(first, second, "per_label.csv")
    row = found["auc_macro"]
    expected = []
    for table in (first, second):
        parts = [part for _, part in table.groupby("label")]
        expected.append(np.mean([roc_auc_score(part["truth"], part["probability"]) for part in parts]))
    assert (row.reference, row.value) == pytest.approx(tuple(expected)) and row.difference > 0 and row.p_value < 0.05
    assert row.patients == 40 and notes == []


def screening_table(skill: float, seed: int) -> pd.DataFrame:
    truth = np.random.default_rng(0).integers(2, size=50)
    probability = 1 / (1 + np.exp(-(skill * (truth - 0.5) + np.random.default_rng(seed).normal(size=50))))
    who = {"case_id": [f"exam-{n}" for n in range(50)], "patient_id": [f"patient-{n}" for n in range(50)], "site": "here"}
    decision = (probability > 0.3).astype(int)
    return pd.DataFrame(
        who | {"truth": truth, "decision": decision, "probability NOR": 1 - probability, "probability NPC": probability}
    )


def test_screening_compares_the_decisions_that_were_made():
    first, second = screening_table(0.5, seed=1), screening_table(6.0, seed=2)
    found, _ = by_measure(first, second, "per_exam.csv")
    assert found["accuracy"].value == pytest.approx(accuracy_score(second["truth"], second["decision"]))
    assert found["auc_macro"].reference == pytest.approx(roc_auc_score(first["truth"], first["probability NPC"]))
    assert found["auc_macro"].lower > 0 and set(found) == {"accuracy", "auc_macro", "sensitivity", "specificity", "f1_macro"}


def test_diagnoses_from_prompts_take_the_most_probable_class():
    def table(right: int) -> pd.DataFrame:
        truth = [("NOR", "BH", "NPC")[number % 3] for number in range(30)]
        rows = pd.DataFrame({"case_id": [f"e{n}" for n in range(30)], "patient_id": [f"p{n}" for n in range(30)], "truth": truth})
        for name in ("NOR", "BH", "NPC"):
            rows[name] = [0.6 if (t == name) == (n < right) else 0.2 for n, t in enumerate(truth)]
        return rows

    found, _ = by_measure(table(10), table(25), "per_exam.csv")
    assert found["diagnosis_accuracy"].reference == pytest.approx(10 / 30)
    assert found["diagnosis_accuracy"].value == pytest.approx(25 / 30)


def test_choices_of_sentences_by_kind():
    def table(hits: int) -> pd.DataFrame:
        rows = [
            {"case_id": f"e{n}", "patient_id": f"p{n}", "kind": kind, "text": "a sentence", "label": "x", "hit": float(n < hits)}
            for n in range(20)
            for kind in ("assignment", "selection", "selection")  # the same words twice in one report
        ]
        return pd.DataFrame(rows)

    found, notes = by_measure(table(10), table(15), "per_sentence.csv")
    assert found["assignment"].cases == 20 and found["selection"].cases == 40 and notes == []
    assert found["selection"].difference == pytest.approx(0.25)


def test_an_unknown_table_is_told():
    table = pd.DataFrame({"case_id": ["a", "b"], "patient_id": ["a", "b"], "length": [1, 2]})
    found, notes = by_measure(table, table)
    assert found == {} and notes == ["per_case.csv: nothing left that could be compared"]
    found, notes = by_measure(table.drop(columns="patient_id"), table)
    assert found == {} and notes == ["per_case.csv: has no case_id and patient_id in both runs"]
