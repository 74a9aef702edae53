"""Runs are found, all faults are told at once, and nothing is made where there is nothing."""

import pytest

from scripts.tracking.compare.store import ComparisonError, RunStore, shown_address


def test_runs_come_in_the_order_asked_for(runs):
    ids = [runs.add(f"run {number}", metrics={"test/auc": number}, params={"sigma": number}) for number in range(3)]
    found = runs.read(ids[2], ids[0])
    assert [run.name for run in found] == ["run 2", "run 0"]
    assert found[0].metrics == {"test/auc": 2.0} and found[0].params == {"sigma": "2"}
    assert found[0].status == "FINISHED" and found[0].seconds >= 0 and found[0].experiment == "films"


def test_more_runs_than_a_query_takes(runs, monkeypatch):
    monkeypatch.setattr("scripts.tracking.compare.store._PAGE", 2)
    ids = [runs.add(f"run {number}") for number in range(5)]
    assert [run.id for run in runs.read(*ids)] == ids


def test_all_faults_of_ids_at_once(runs):
    there, deleted = runs.add(), runs.add()
    runs.client.delete_run(deleted)
    with pytest.raises(ComparisonError) as error:
        runs.read(there, deleted, "0" * 32, "it's; not an id", "unsent-1234")
    told = str(error.value)
    assert f"{deleted} was deleted" in told and f"mlflow runs restore --run-id {deleted}" in told
    assert "no run has the id " + "0" * 32 in told and "it's; not an id" in told
    assert "unsent-1234 has not reached a store" in told and there not in told


def test_a_running_run_can_be_read(runs):
    (found,) = runs.read(runs.add(status="RUNNING"))
    assert found.status == "RUNNING" and found.seconds is None


def test_best_of_each_experiment(runs):
    for experiment, values in {"films": (0.7, 0.9, 0.8), "exams": (0.5, 0.6)}.items():
        for value in values:
            runs.add(f"{experiment} {value}", experiment, {"test/auc": value})
    runs.add("killed", "films", {"test/auc": 0.99}, status="KILLED")
    runs.add("undefined", "films", {"test/auc": float("nan")})
    runs.add("another metric", "films", {"test/cnr": 5.0})
    store = RunStore(runs.address)
    assert [run.name for run in store.best(["films", "exams"], "test/auc", False, 1)] == ["films 0.9", "exams 0.6"]
    assert [run.name for run in store.best(["films"], "test/auc", True, 2)] == ["films 0.7", "films 0.8"]
    assert [run.name for run in store.best(["films"], "test/auc", False, 9)] == ["films 0.9", "films 0.8", "films 0.7"]
    assert {run.experiment for run in store.best(None, "test/auc", False, 1)} == {"films", "exams"}


def test_all_faults_of_experiments_at_once(runs):
    runs.add(metrics={"test/auc": 1.0, "test/cnr": 2.0})
    runs.add(experiment="exams", metrics={"test/cnr": 2.0}, status="FAILED")
    with pytest.raises(ComparisonError) as error:
        RunStore(runs.address).best(["flims", "films", "exams"], "test/dice", False, 1)
    told = str(error.value)
    assert "no experiment 'flims'; there are: Default, exams, films" in told
    assert "'films' has no finished run with the metric test/dice; its latest runs have: test/auc, test/cnr" in told
    assert "'exams' has no finished run with the metric test/dice; its latest runs have no metrics" in told


def test_no_store_is_made_by_looking_for_one(tmp_path):
    with pytest.raises(ComparisonError, match="does not exist: nothing has been tracked there"):
        RunStore(f"sqlite:///{tmp_path}/mlflow.db")
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_away_is_named_without_its_login():
    with pytest.raises(ComparisonError) as error:
        RunStore("http://user:word@127.0.0.1:9")
    assert "http://***@127.0.0.1:9 does not answer" in str(error.value) and "word@" not in str(error.value)


def test_shown_address():
    assert shown_address("postgresql://me:secret@host/runs") == "postgresql://***@host/runs"
    assert shown_address("sqlite:////srv/mlflow.db") == "sqlite:////srv/mlflow.db"
