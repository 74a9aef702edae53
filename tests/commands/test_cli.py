"""The command line as a person meets it: messages and exit status of `python -m scripts`."""

import inspect
import json
import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments, **options) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "scripts", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    options = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True, "timeout": 120} | options
    done = subprocess.run(command, env=environment, **options)
    if options["capture_output"]:
        assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.fixture
def datalist(tmp_path) -> Path:
    """One good film; `write(more)` adds records."""
    cv2.imwrite(str(tmp_path / "film.png"), (np.arange(4800).reshape(60, 80) % 251).astype(np.uint8))
    path = tmp_path / "datalist.json"
    write(path)
    return path


def write(path: Path, *more: dict) -> None:
    good = {"study_id": "s0", "patient_id": "p0", "image": "film.png", "report": "Clear."}
    path.write_text(json.dumps({"domain": "cxr", "training": [good], **({"test": list(more)} if more else {})}))


def test_a_good_datalist_is_counted(datalist):
    done = run("check-datalist", datalist)
    assert done.returncode == 0
    assert done.stdout == f"{datalist}: no fault in 1 records (training 1)\n"


def test_a_faulty_datalist_is_told_whole_and_exits_with_1(datalist):
    records = [{"study_id": f"s{n}", "patient_id": "p0", "image": f"gone{n}.png"} for n in range(300)]
    write(datalist, *records)
    table = datalist.with_name("faults.csv")
    done = run("check-datalist", datalist, "--output", table, "--workers", 2)
    assert done.returncode == 1
    assert "302 faults" in done.stdout and "duplicate id (1):" in done.stdout and "patient in two splits (1):" in done.stdout
    assert "missing file (300):" in done.stdout and "... 100 more" in done.stdout
    assert len(table.read_text().splitlines()) == 303


def test_a_missing_datalist_is_one_message(tmp_path):
    done = run("check-datalist", tmp_path / "gone.json")
    assert done.returncode == 1 and "cannot be opened" in done.stdout


def test_a_name_that_looks_like_a_number_stays_a_name(tmp_path):
    done = run("check-datalist", "001", cwd=tmp_path)
    assert done.returncode == 1 and done.stdout.startswith("001: 1 fault")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["chek-datalist", "a.json"], 'perhaps "check-datalist" is meant'),
        (["check-datalist"], "required argument: path"),
        (["check-datalist", "a.json", "--outptu", "b.csv"], "--outptu"),
        (["check-datalist", "a.json", "b.csv"], "b.csv"),
        (["check-datalist", "a.json", "--output"], "--output has no value"),
        (["check-datalist", "a.json", "--workers", "0"], "--workers is 0"),
        (["check-datalist", "a.json", "--workers", "two"], "--workers is two"),
        (
            ["datalist", "mimic", "--source_dir", "x", "--output", "y"],
            'perhaps "mimic-cxr" is meant. Known: case-notes, ',
        ),
        (["datalist", "zzz", "--source_dir", "x", "--output", "y"], 'unknown source "zzz". Known: case-notes, '),
        (["datalist", "mimic-cxr", "--output", "y"], "source_dir"),
        (["datalist", "mimic-cxr", "--source_dir", "x", "--output", "y", "--veiws", "PA"], 'perhaps "views" is meant'),
        (["datalist", "ms-cxr", "--source_dir", "x", "--output", "y"], "ms-cxr needs --images_dir"),
        (["datalist", "openi", "--source_dir", "x", "--output", "y", "--seed", "one"], "give a number, as in --seed=0"),
        (["datalist", "openi", "--source_dir", "x", "--output", "y", "--skip_missing=2"], "--skip_missing is 2"),
        (["phantoms", "cxrr", "--output", "x"], 'perhaps "cxr" is meant. Known: ct'),
        (
            ["phantoms", "cxr", "--output", "x", "--training", "-1"],
            "--training is -1; give a whole number of at least 0",
        ),
        (["convert-weights", "aflco", "a.ckpt", "--output", "x"], 'perhaps "afloc" is meant. Known: afloc'),
    ],
)
def test_commands_that_are_not_understood_exit_with_2(tmp_path, arguments, words):
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 2 and words in done.stderr and done.stdout == ""
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("verb", ["check-datalist", "datalist", "phantoms", "convert-weights"])
def test_help_shows_examples_and_no_inner_workings(verb):
    done = run(verb, "--help")
    text = done.stdout + done.stderr
    assert done.returncode == 0
    assert f"python -m scripts {verb}" in text and "FIRE" not in text and "GROUP" not in text


def test_help_names_what_there_is():
    from scripts.commands.datalists import datalist_command
    from scripts.commands.phantoms import DOMAINS, phantoms_command
    from scripts.commands.weights import WEIGHT_METHODS, convert_weights_command
    from scripts.datalists.sources import SOURCES

    assert f"Sources: {', '.join(SOURCES)}." in " ".join(datalist_command.__doc__.split())
    assert f"Domains: {', '.join(DOMAINS)}." in phantoms_command.__doc__
    assert f"Methods: {', '.join(WEIGHT_METHODS)}." in convert_weights_command.__doc__


def test_help_of_a_source_tells_its_options():
    done = run("datalist", "ms-cxr", "--help")
    assert done.returncode == 0 and "images_dir: " in done.stdout


def test_help_loads_neither_torch_nor_monai():
    code = """
import sys
from scripts.__main__ import VERBS, run_command
try:
    run_command(VERBS, "scripts", ["phantoms", "--help"])
except SystemExit:
    print(sorted(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert "'scripts.__main__'" in done.stdout, done.stderr
    assert not [name for name in ("'torch'", "'monai'", "'cv2'", "'pandas'", "'numpy'") if name in done.stdout]


def test_help_does_not_wait_for_a_key_in_a_simulated_terminal():
    environment = {key: value for key, value in os.environ.items() if key != "PAGER"} | {"TERM": "xterm"}
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "scripts", "--help"],
        cwd=ROOT,
        env=environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    begin, text = time.monotonic(), b""
    try:
        while process.poll() is None and time.monotonic() - begin < 30:
            text += read(ours)
        text += read(ours)
        assert process.poll() == 0 and b"check-datalist" in text
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # Linux's way to say that the other end is closed
        return b""


def test_a_folder_that_is_no_data_set_is_one_message(tmp_path):
    done = run("datalist", "rsna-pneumonia", "--source_dir", tmp_path, "--output", tmp_path / "a.json")
    assert done.returncode == 1 and "error: rsna-pneumonia: " in done.stderr and not list(tmp_path.iterdir())


def test_options_reach_the_source_as_what_its_defaults_are(tmp_path, monkeypatch, datalist, capsys):
    from scripts.datalists import sources

    seen = {}

    def build(source_dir, masks_dir, views=("PA", "AP"), share=0.5, seed=0, skip_missing=False, reports_dir=None):
        seen.update(source_dir=source_dir, masks_dir=masks_dir, views=views, share=share, seed=seed)
        seen.update(skip_missing=skip_missing, reports_dir=reports_dir)
        return {"training": [], "test": [{"study_id": "s", "patient_id": "p", "image": str(tmp_path / "film.png")}]}

    monkeypatch.setitem(sources.SOURCES, "made-up", build)
    monkeypatch.setitem(sources.DOMAINS_OF, "made-up", "cxr")
    typed = ["datalist", "made-up", "--source_dir", "01", "--output", str(tmp_path / "sub" / "a.json")]
    typed += ["--masks_dir=1e5", "--views", "PA, AP Supine", "--share", "1", "--seed=7", "--skip_missing"]
    assert main(monkeypatch, *typed) == 0
    assert seen == {
        "source_dir": "01",
        "masks_dir": "1e5",
        "views": ("PA", "AP Supine"),
        "share": 1.0,
        "seed": 7,
        "skip_missing": True,
        "reports_dir": None,
    }
    assert json.loads((tmp_path / "sub" / "a.json").read_text())["test"][0]["image"] == "../film.png"
    assert "test 1" in capsys.readouterr().out
    (tmp_path / "film.png").unlink()
    assert main(monkeypatch, *typed) == 1 and "missing file (1)" in capsys.readouterr().out
    assert main(monkeypatch, *typed, "--nocheck_files") == 0


def main(monkeypatch, *arguments) -> int:
    """The command line within this process, where PyTorch is imported once for all tests."""
    from scripts import __main__ as module

    monkeypatch.setattr(sys, "argv", ["scripts", *map(str, arguments)])
    return module.main()


def test_a_checkpoint_that_is_none_is_one_message(tmp_path, monkeypatch, capsys):
    done = main(monkeypatch, "convert-weights", "afloc", tmp_path / "gone.ckpt", "--output", tmp_path / "a.pt")
    printed = capsys.readouterr()
    assert done == 1 and printed.err.startswith("error: ") and "gone.ckpt" in printed.err
    assert printed.out == "" and not list(tmp_path.iterdir())


def test_a_checkpoint_is_converted_and_summed_up(tmp_path, monkeypatch, capsys):
    import torch

    from scripts.weights.afloc import PREFIXES, expected_layout

    bert = {"vocab_size": 40, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4}
    bert |= {"intermediate_size": 16, "max_position_embeddings": 8, "type_vocab_size": 2}
    state = {}
    for key, value in expected_layout({"name": "resnet18", "embedding_size": 32}, bert).items():
        theirs, ours = next((theirs, ours) for theirs, ours in PREFIXES.items() if key.startswith(ours))
        state[f"afloc.{theirs}{key.removeprefix(ours)}"] = torch.zeros((), dtype=value.dtype).expand(value.shape)
    torch.save({"state_dict": state}, tmp_path / "published.ckpt")
    arguments = ["afloc", tmp_path / "published.ckpt", "--output", tmp_path / "a.pt", "--attention_heads", 4]
    assert main(monkeypatch, "convert-weights", *arguments) == 0
    printed = capsys.readouterr()
    assert f"output: {tmp_path / 'a.pt'}\n" in printed.out and "'num_attention_heads': 4" in printed.out
    assert f"tensors: {len(state)}\n" in printed.out and printed.err == ""
    assert torch.load(tmp_path / "a.pt", weights_only=True)["text_encoder"] == bert


def test_phantoms_says_what_each_task_draws_without_numbers():
    from scripts.commands.phantoms import phantoms_command
    from scripts.phantoms import ct, cxr, nasal

    told, ours = " ".join(phantoms_command.__doc__.split()), inspect.signature(phantoms_command).parameters
    for module, what in ((cxr, "films"), (ct, "volumes"), (nasal, "exams")):
        theirs = {name: parameter.default for name, parameter in inspect.signature(module.write_phantoms).parameters.items()}
        assert f"{theirs['training']:,} + {theirs['validation']} + {theirs['test']} {what}" in told
        assert all(theirs[name] == ours[name].default for name in ("seed", "workers"))


def test_phantoms_pass_the_check_that_real_data_must_pass(tmp_path):
    counts = ["--training", 4, "--validation", 2, "--test", 2]
    done = run("phantoms", "cxr", "--output", tmp_path / "p", *counts, "--seed", 3, "--workers", 1)
    assert done.returncode == 0, done.stderr
    assert run("check-datalist", tmp_path / "p" / "datalist.json").returncode == 0
