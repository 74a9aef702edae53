"""The code that goes along: what configs name and what that imports, all of it and no more."""

import ast

import pytest

from scripts.export.code import SOURCE, copy_code, imports_of, modules_of, names_in, other_packages


def test_names_stand_in_targets_imports_and_expressions():
    config = {
        "_desc_": "made by scripts.phantoms",
        "imports": ["$import torch", "$from scripts.files.atomic import sha256_of"],
        "train": {
            "x": {"_target_": "scripts.losses.AFLocLoss", "n": 2},
            "y": "$len(scripts.datalists.load_datalist(@a)) + my_scripts.b",
        },
    }
    assert names_in(config) == {"scripts.files.atomic", "scripts.losses.AFLocLoss", "scripts.datalists.load_datalist"}


def test_what_is_imported_comes_along_and_nothing_else():
    modules = modules_of(["scripts.losses.AFLocLoss"])
    assert {"scripts", "scripts.losses", "scripts.losses.afloc_loss", "scripts.losses.gather"} <= modules.keys()
    assert not [
        name for name in modules if name.startswith(("scripts.commands", "scripts.phantoms", "scripts.export", "scripts.__main__"))
    ]
    for file in modules.values():  # closed: nothing that they import is left out
        for name in imports_of(file):
            if name.startswith("scripts"):
                assert name in modules or name.rpartition(".")[0] in modules


def test_imports_within_functions_count(tmp_path):
    file = tmp_path / "late.py"
    file.write_text("import os.path\ndef f():\n    from scripts.files import atomic\n    import torch.nn as nn\n")
    assert set(imports_of(file)) == {"os.path", "scripts.files.atomic", "torch.nn"}
    assert other_packages([file]) == {"os", "torch"}


def test_a_relative_import_is_refused(tmp_path):
    file = tmp_path / "relative.py"
    file.write_text("from .files import sha256_of\n")
    with pytest.raises(ValueError, match=r"relative\.py, line 1"):
        list(imports_of(file))


def test_data_beside_modules_is_copied_and_caches_are_not(tmp_path):
    modules = modules_of(["scripts.reports.exams.lexicon"])
    copy_code(modules, tmp_path)
    copied = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert {
        "scripts/domains/nasal/lexicon.json",
        "scripts/domains/nasal/prompts.json",
        "scripts/reports/exams/lexicon.py",
    } <= copied
    assert copied >= {file.relative_to(SOURCE).as_posix() for file in modules.values()}
    assert not [name for name in copied if "__pycache__" in name or name.startswith("scripts/phantoms")]
    for path in tmp_path.rglob("*.py"):
        ast.parse(path.read_text())
