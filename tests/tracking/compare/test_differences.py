"""What counts as a result, which value is better, and in what runs differ."""

from dataclasses import replace
from datetime import datetime

import pytest

from scripts.handlers.reports import exam as exam_report
from scripts.handlers.reports import image as image_report
from scripts.tracking.compare.differences import cost_of, differing, is_result, low_is_good, origin_of, settings_of
from scripts.tracking.compare.intervals import intervals_of
from scripts.tracking.compare.store import TrackedRun
from tests.tracking.compare.tables import interval

RUN = TrackedRun("1", "run", "films", "0", "FINISHED", datetime(2026, 1, 1), 3725.4, {}, {}, {}, "file:///nowhere")


def test_results_and_the_course_of_a_run_are_told_apart():
    assert all(map(is_result, ("test/auc_macro", "val/loss", "train/loss", "test/exam_to_report_recall_at_1")))
    course = ("train/learning_rate", "train/learning_rate_3", "train/epoch", "test/samples_per_second", "train/gpu_memory_mib")
    assert not any(map(is_result, (*course, "system/gpu_0_power_usage_watts")))


def test_which_value_is_better():
    assert all(map(low_is_good, ("val/loss", "train/loss_words", "test/ece", "test/false_regions_at_80_recall")))
    assert low_is_good("test/regions_shown_absent") and not low_is_good("test/regions_shown_present")
    assert not any(map(low_is_good, ("test/auc_macro", "test/cnr", "val/recall_at_1")))


def test_only_what_differs():
    first = replace(RUN, params={"seed": "1", "sigma": "0.6", "only": "here"}, tags={"git.revision": "a", "process.pid": "1"})
    second = replace(RUN, params={"seed": "1", "sigma": "2.5"}, tags={"git.revision": "b", "process.pid": "2", "mlflow.user": "x"})
    assert differing([first, second], settings_of) == {"sigma": ["0.6", "2.5"], "only": ["here", None]}
    assert differing([first, second], origin_of) == {"git.revision": ["a", "b"]}


def test_cost_says_what_is_known():
    assert cost_of(replace(RUN, seconds=None)) == {}
    metrics = {
        "train/gpu_memory_mib": 2048.0,
        "test/gpu_memory_mib": 100.0,
        "train/samples_per_second": 12.34,
        "train/energy_kwh": 0.5,
    }
    assert cost_of(replace(RUN, metrics=metrics, tags={"epochs": "3 of 5"})) == {
        "time": "1:02:05",
        "epochs": "3 of 5",
        "cases a second": "12.3",
        "peak GPU memory, MiB": "2,048",
        "energy, kWh": "0.500",
    }


def test_intervals_under_the_names_that_films_are_tracked_by():
    everything = {"pointing": interval(0.7), "cnr": interval(2.5), "cases": 9}
    summary = {
        "localization": {"all": everything, "macro": {"cnr": interval(2.4)}, "tag unseen_pair": {"cnr": interval(3.0)}},
        "shown": {"absent": interval(0.1) | {"cases": 3}},
        "false_regions_at_80_recall": {"rate": 0.2, "threshold": 0.5},
        "classification": {
            "macro": {"auc": interval(0.9), "accuracy": interval(0.8)},
            "nodule": {"auc": interval(0.6), "cases": 5},
        },
    }
    tracked = {f"test/{name}": value for name, value in image_report.main_figures(summary).items()}
    found = intervals_of(tracked, summary)
    assert set(tracked) - set(found) == {"test/false_regions_at_80_recall"}
    assert found["test/cnr_macro"] == pytest.approx((2.35, 2.45)) and found["test/auc_macro"] == pytest.approx((0.85, 0.95))


def test_intervals_under_the_names_that_exams_are_tracked_by():
    summary = {
        "retrieval": {
            "exam_to_report": {"recall_at_1": interval(0.3)},
            "report_to_exam": {"recall_at_5": interval(0.4)},
            "cases": 7,
        },
        "assignment": {"all": {"hit": interval(0.5), "chance": 0.2}},
        "selection": {"all": {"hit": interval(0.6), "chance": 0.2}, "size small": {"hit": interval(0.1)}},
        "localization": {"all": {"cnr": interval(1.5), "cases": 4}},
        "diagnosis": {"accuracy": interval(0.7)},
        "findings": {"macro": {"auc": interval(0.8)}},
    }
    tracked = {f"test/{name}": value for name, value in exam_report.main_figures(summary).items()}
    assert len(tracked) == 7 and set(intervals_of(tracked, summary)) == set(tracked)


def test_intervals_of_volumes_and_of_screening():
    assert intervals_of({"test/auc_macro": 0.8}, {"macro": {"auc": interval(0.8)}, "lung": {"auc": interval(0.7)}})
    screening = {"slices": {"all": {"auc_macro": interval(0.8), "ece": 0.1}}}
    assert intervals_of({"test/auc_macro": 0.8, "test/ece": 0.1}, screening).keys() == {"test/auc_macro"}


def test_an_interval_of_another_value_or_without_bounds_is_left_out():
    content = {"macro": {"auc": interval(0.8)}}
    assert intervals_of({"test/auc_macro": 0.7}, content) == {}
    assert intervals_of({"test/auc_macro": 0.8}, {"macro": {"auc": {"estimate": 0.8, "lower": None, "upper": None}}}) == {}
