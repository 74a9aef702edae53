"""Facts about runs: settings, code, machine, addresses."""

import multiprocessing
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from ignite.engine import Engine

from scripts.tracking import facts
from scripts.tracking.address import store_address
from scripts.tracking.meter import EngineMeter, batch_size, losses, scalars


def test_flatten_opens_mappings_and_lists_of_mappings():
    nested = {"a": {"_desc_": "why", "b": [1, 2]}, "t": [{"prob": 0.1}, {"prob": 0.2}], "n": None}
    assert facts.flatten(nested) == {"a.b": [1, 2], "t.0.prob": 0.1, "t.1.prob": 0.2, "n": None}


def test_secrets_are_blanked_and_words_with_token_in_them_are_not():
    blanked = facts.without_secrets(
        {"api_key": "k", "hub_token": "t", "max_tokens": 97, "uri": ["http://u:p@h/x"], "x_password": ""}
    )
    assert blanked == {
        "api_key": "***",
        "hub_token": "***",
        "max_tokens": 97,
        "uri": ["http://***@h/x"],
        "x_password": "",
    }


def test_command_line_hides_secrets(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["run", "--hub_token", "abc", "--uri=http://u:p@h", "--password=p", "--lr", "0.1"])
    assert facts.command_line() == "run --hub_token '***' '--uri=http://***@h' '--password=***' --lr 0.1"


def test_git_facts(tmp_path):
    assert facts.git_facts(tmp_path) == {"git.revision": "unknown", "git.dirty": "unknown"}
    git = ["git", "-C", tmp_path, "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "x"], check=True)
    clean = facts.git_facts(tmp_path)
    assert len(clean["git.revision"]) == 40 and clean["git.dirty"] == "false"
    (tmp_path / "new.py").touch()
    assert facts.git_facts(tmp_path)["git.dirty"] == "true"


def test_process_that_ended_is_dead_and_a_later_one_with_its_number_is_another():
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(30,), daemon=True)
    child.start()
    known = {**facts.process(), "pid": child.pid, "started": facts._start_of(child.pid)}
    assert facts.is_alive(known) is True and facts.is_alive({**known, "started": "1"}) is False
    child.kill()
    child.join()
    assert facts.is_alive(known) is False
    assert facts.is_alive({**known, "host": "elsewhere"}) is None


def test_store_address(monkeypatch, tmp_path):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    uri, artifacts = store_address(None)
    assert uri == f"sqlite:///{facts.PROJECT}/mlflow.db" and artifacts == f"file://{facts.PROJECT}/mlartifacts"
    monkeypatch.chdir(tmp_path)
    assert store_address("sqlite:///x.db")[0] == f"sqlite:///{tmp_path}/x.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://team:5000")
    assert store_address(None) == ("http://team:5000", None)
    assert store_address("http://mine:1") == ("http://mine:1", None)
    for folder in ("./mlruns", "file:///tmp/mlruns"):
        with pytest.raises(ValueError, match="sqlite:///"):
            store_address(folder)


def test_parent_run_id_by_id_file_or_folder(tmp_path):
    (tmp_path / "mlflow_run_id").write_text("abc\n")
    assert facts.parent_run_id("abc") == facts.parent_run_id(tmp_path) == facts.parent_run_id(tmp_path / "mlflow_run_id")
    with pytest.raises(FileNotFoundError, match="parent_run"):
        facts.parent_run_id(tmp_path / "none")


def test_batch_size():
    assert batch_size({"images": torch.zeros(6, 3), "case_ids": ["a", "b"], "rejected": []}) == 2
    assert batch_size({"meta": {}, "image": torch.zeros(6, 3)}) == 6
    assert batch_size([{"image": torch.zeros(3)}] * 4) == 4
    assert batch_size((torch.zeros(5, 2), torch.zeros(5))) == 5
    assert batch_size(3) == 0


def test_losses_of_a_batch_and_of_a_decollated_list():
    assert scalars(losses({"loss": torch.tensor(2.0), "pred": torch.zeros(3), "grad_norm": 1}), "train") == {
        "train/loss": 2.0, "train/grad_norm": 1.0,
    }  # fmt: skip
    assert losses([{"loss": 1.0, "label": torch.tensor(1)}] * 2) == {"loss": 1.0}
    assert losses(0.5) == {"loss": 0.5}


def test_learning_rate_is_logged_when_it_changes():
    records = []
    meter, engine = EngineMeter("train", records.extend), Engine(lambda *_: None)
    engine.optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
    engine.state.output, engine.state.batch = {"loss": 1.0}, [0]
    for step in range(1, 5):
        engine.optimizer.param_groups[0]["lr"] = 0.5 if step < 3 else 0.25
        meter.iteration_completed(engine, step)
    meter.flush()
    rates = [(record["step"], record["values"].get("train/learning_rate")) for record in records]
    assert rates == [(1, 0.5), (2, None), (3, 0.25), (4, None)]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_values_on_a_gpu_are_fetched_at_the_flush():
    records = []
    meter, engine = EngineMeter("train", records.extend), Engine(lambda *_: None)
    engine.state.batch = [0]
    for step in (1, 2):
        engine.state.output = {"loss": torch.tensor(float(step), device="cuda")}
        meter.iteration_completed(engine, step)
    meter.flush(2)
    assert [r["values"]["train/loss"] for r in records if "train/loss" in r["values"]] == [1.0, 2.0]
    assert any(r["values"].get("train/gpu_memory_mib", 0) > 0 for r in records)


def test_top_level_folder_does_not_hide_the_package():
    assert "site-packages" in __import__("mlflow").__file__
    folder = Path(facts.PROJECT) / "mlflow"
    assert not (folder / "__init__.py").exists() and not (folder / "mlflow.py").exists()
