"""Commands of a bundle that does next to nothing, each run once."""

import json

import pytest

from scripts.files.errors import UserError
from scripts.studies.bundle_runs import BundleRuns

CONFIG = {
    "imports": ["$from pathlib import Path"],
    "output_dir": "",
    "word": "plain",
    "resume": False,
    "say": "$Path(@output_dir, 'said.txt').open('a').write(str(@word) + ' ' + str(@resume) + chr(10))",
    "fail": "$1 / 0 if @word == 'bad' and not @resume else None",
    "run": ["$@say", "$@fail"],
}


@pytest.fixture
def bundle(tmp_path):
    (tmp_path / "bundle" / "configs").mkdir(parents=True)
    (tmp_path / "bundle" / "configs" / "train.json").write_text(json.dumps(CONFIG))
    return str(tmp_path / "bundle")


def test_a_command_is_run_once_and_not_taken_for_another(bundle, tmp_path):
    runs = BundleRuns(tmp_path / "study", {"word": "shared"})
    for _ in range(2):
        folder = runs.run("cell/seed 1", bundle, ["train"], {})
    assert (folder / "said.txt").read_text() == "shared False\n"
    with pytest.raises(UserError, match=r"word.*shared.*own.*another folder"):
        runs.run("cell/seed 1", bundle, ["train"], {"word": "own"})


def test_one_that_failed_names_its_log_and_goes_on_from_its_checkpoint(bundle, tmp_path):
    runs = BundleRuns(tmp_path / "study", {})
    with pytest.raises(UserError, match="the end of"):
        runs.run("cell", bundle, ["train"], {"word": "bad"})
    folder = tmp_path / "study" / "cell"
    assert "ZeroDivisionError" in (folder / "log.txt").read_text()
    (folder / "checkpoint_last.pt").touch()
    with pytest.raises(UserError, match=r"word.*bad.*good.*another folder"):  # not resumed as something else
        runs.run("cell", bundle, ["train"], {"word": "good"})
    runs.run("cell", bundle, ["train"], {"word": "bad"})
    assert (folder / "said.txt").read_text() == "bad False\nbad True\n"


def test_one_that_left_no_checkpoint_may_be_corrected(bundle, tmp_path):
    runs = BundleRuns(tmp_path / "study", {})
    with pytest.raises(UserError, match="the end of"):
        runs.run("cell", bundle, ["train"], {"word": "bad"})
    folder = runs.run("cell", bundle, ["train"], {"word": "good"})
    assert (folder / "said.txt").read_text() == "bad False\ngood False\n"
