"""`python mlflow/compare.py` as it is typed."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.tracking.address import store_address
from tests.tracking.compare.tables import phrase_table

SCRIPT = Path(__file__).resolve().parents[3] / "mlflow" / "compare.py"


@pytest.fixture(scope="module")
def compare():
    spec = importlib.util.spec_from_file_location("compare_command", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def command(compare, monkeypatch, capsys, tmp_path):
    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["compare.py", *words])
        monkeypatch.chdir(tmp_path)
        status = compare.main()
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def three(runs):
    tables = [phrase_table(0.1 * n) for n in range(3)]
    return [runs.add(f"run {n}", metrics={"test/cnr": n, "val/loss": n}, files={"per_case.csv": tables[n]}) for n in range(3)]


def test_ids(command, runs, three, tmp_path):
    status, out, _ = command(three[2], three[0], three[2], "--tracking_uri", runs.address, "--output", "pages/a.html")
    assert status == 0 and "#1 run 2" in out and "#2 run 0" in out and "wrote pages/a.html" in out
    assert "-0.200 (-0.200 to -0.200)" in out
    assert [file.name for file in (tmp_path / "pages").iterdir()] == ["a.html"]


def test_the_best_of_experiments(command, runs, three, monkeypatch):
    runs.add("exam", "exams", metrics={"test/cnr": 0.5})
    monkeypatch.setenv("MLFLOW_TRACKING_URI", runs.address)
    status, out, _ = command("--experiments", "films,exams", "--metric", "test/cnr")
    assert status == 0 and "#1 run 2" in out and "#2 exam" in out
    status, out, _ = command("--experiments=films", "--metric=val/loss", "--top=2")
    assert status == 0 and "#1 run 0" in out and "#2 run 1" in out
    status, out, _ = command("--experiments=films", "--metric=val/loss", "--top=2", "--lowest=False")
    assert status == 0 and "#1 run 2" in out and "#2 run 1" in out
    status, out, _ = command(three[1], "--experiments", "all", "--metric", "test/cnr")
    assert status == 0 and "#1 run 1" in out and "run 2" in out and "exam" in out


def test_bad_runs_leave_nothing_behind(command, runs, three, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    status, _, err = command(three[0], "1" * 32, "2" * 32, "--tracking_uri", runs.address)
    assert status == 1 and "1" * 32 in err and "2" * 32 in err and "Traceback" not in err
    status, _, err = command("--experiments", "films,flims", "--metric", "test/auc", "--tracking_uri", runs.address)
    assert status == 1 and "no experiment 'flims'" in err and "no finished run with the metric test/auc" in err
    status, _, err = command(three[0], "--experiments", "films", "--metric", "val/loss", "--tracking_uri", runs.address)
    assert status == 1 and "one run alone" in err
    status, _, err = command(*three, "--tracking_uri", f"sqlite:///{tmp_path}/none.db")
    assert status == 1 and "does not exist" in err
    assert sorted(tmp_path.rglob("*")) == before


def test_a_page_that_cannot_be_written_leaves_the_older_one(command, runs, three, tmp_path, monkeypatch):
    page = tmp_path / "comparison.html"
    page.write_text("older")
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    status, _, err = command(*three, "--tracking_uri", runs.address)
    assert status == 1 and "disk full" in err and page.read_text() == "older"
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == ["comparison.html"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["1" * 32], "give two run ids or more"),
        (["1" * 32, "1" * 32], "give two run ids or more"),
        (["--experiments", "films"], "--experiments needs --metric"),
        (["a", "b", "--metric", "test/auc"], "--metric, --lowest and --top choose runs of --experiments"),
        (["--experiments", "films", "--metric", "m", "--top", "none"], "--top is none; give a whole number"),
        (["--experiments", "films", "--metric", "m", "--lowest", "maybe"], "--lowest is maybe"),
        (["a", "b", "--tracking_uri", "./mlruns"], "is a folder, which MLflow no longer takes"),
    ],
)
def test_commands_that_are_not_understood(command, words, told):
    status, out, err = command(*words)
    assert status == 2 and told in err and out == ""


def test_a_misspelt_flag_is_refused_before_anything_is_read(command, runs, three, tmp_path):
    with pytest.raises(SystemExit) as error:
        command(*three, "--tracking_uri", runs.address, "--ouput", "x.html")
    assert error.value.code == 2 and not (tmp_path / "comparison.html").exists()


def test_runs_are_looked_for_where_they_are_tracked(monkeypatch, tmp_path):
    """The address of a tracker that was given the same words, written down here and not asked of the code."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert store_address("http://team:5000") == ("http://team:5000", None)
    assert store_address("sqlite:///x.db") == (f"sqlite:///{tmp_path}/x.db", (tmp_path / "mlartifacts").as_uri())
    assert store_address(None)[0] == f"sqlite:///{SCRIPT.parents[1] / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mine:1")
    assert store_address(None) == ("http://mine:1", None)


def test_from_another_folder_the_installed_mlflow_is_used(runs, three, tmp_path):
    """The script's own folder, named mlflow, comes first on the path then; and MONAI, slow to import, is not needed."""
    code = f"import runpy, sys; sys.argv = {[str(SCRIPT), *three[:2], '--tracking_uri', runs.address]!r}\n"
    code += "try:\n    runpy.run_path(sys.argv[0], run_name='__main__')\nexcept SystemExit as end:\n    assert end.code == 0\n"
    code += "import mlflow; assert 'site-packages' in mlflow.__file__, mlflow.__file__\nassert 'monai' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", f"import sys; sys.path[0] = {str(SCRIPT.parent)!r}\n{code}"], cwd=tmp_path,
                          capture_output=True, text=True, timeout=300)  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "comparison.html").is_file()
