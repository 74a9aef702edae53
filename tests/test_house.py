"""What the whole house promises: rooms that start in a blink, packages that are pinned, one version."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import scripts

ROOT = Path(__file__).parents[1]
OURS = {"scripts", "integrations", "tests"}
OPTIONAL = {"highdicom"}  # its module says how to install it; pinned where tests need it
SLIM = ["scripts.files", "scripts.cases", "scripts.datalists", "scripts.predictions", "scripts.reports", "integrations.review"]
IMPORT_ALL = """
import importlib, sys
for module in {modules}:
    importlib.import_module(module)
print(*sys.modules)
"""
HEAVY_PARTS = ("scripts.reports.tokens", "integrations.review.tracking")


def loaded_by(code: str) -> set[str]:
    """Top-level modules that a new interpreter holds after running code."""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in done.stdout.split()}


def imported(folder: Path) -> dict[str, Path]:
    """Packages that Python files import by name, and one of the files that does; neither the standard library nor our own."""
    found = {}
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and not node.level else []
            found |= {name.partition(".")[0]: path for name in names}
    return {name: path for name, path in found.items() if name not in sys.stdlib_module_names | OURS}


def pinned(file: str) -> set[str]:
    """Packages of a requirements file, each with its exact version."""
    lines = [line.partition("#")[0].strip() for line in (ROOT / file).read_text().splitlines()]
    lines = [line for line in lines if line and not line.startswith("-r ")]
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line)] == []
    return {plain(line.partition("==")[0]) for line in lines}


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_what_moves_json_loads_neither_pytorch_nor_monai():
    """Everything in these rooms but the tokenizers, and the tracking of a measured agreement."""
    files = [file.relative_to(ROOT) for room in SLIM for file in (ROOT / room.replace(".", "/")).rglob("*.py")]
    names = [".".join(file.with_suffix("").parts).removesuffix(".__init__") for file in files]
    loaded = loaded_by(IMPORT_ALL.format(modules=[name for name in names if not name.startswith(HEAVY_PARTS)]))
    assert {"scripts", "integrations", "numpy"} <= loaded
    assert loaded & {"torch", "monai", "ignite", "transformers", "mlflow"} == set()


def test_files_load_next_to_nothing():
    loaded = loaded_by("import sys, scripts.files; print(*sys.modules)")
    heavy = {"numpy", "pandas", "scipy", "sklearn", "skimage", "matplotlib", "cv2", "PIL", "nibabel", "torch", "monai", "mlflow"}
    assert "scripts" in loaded and loaded & heavy == set()


@pytest.mark.parametrize(
    ("folder", "files"),
    [
        ("scripts", ["requirements.txt"]),
        ("integrations", ["requirements.txt"]),
        ("mlflow", ["requirements.txt"]),
        ("tests", ["requirements.txt", "requirements-dev.txt"]),
    ],
)
def test_what_is_imported_is_pinned(folder, files):
    known, packages = OPTIONAL.union(*map(pinned, files)), packages_distributions()
    missing = {
        name: str(path.relative_to(ROOT))
        for name, path in imported(ROOT / folder).items()
        if not known & {plain(package) for package in packages.get(name, [name])}
    }
    assert missing == {}


def test_there_is_one_version():
    """It is typed in `scripts`; a bundle's metadata repeats it, because a bundle stands alone."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "version" not in project["project"] and project["project"]["dynamic"] == ["version"]
    assert project["tool"]["setuptools"]["dynamic"] == {"version": {"attr": "scripts.__version__"}}
    metadata = {path.parts[-3]: json.loads(path.read_text()) for path in ROOT.glob("bundles/*/configs/metadata.json")}
    assert len(metadata) >= 4
    assert {name: facts["version"] for name, facts in metadata.items()} == dict.fromkeys(metadata, scripts.__version__)
    for facts in metadata.values():
        assert facts["version"] in facts["changelog"]
    for path in ROOT.glob("bundles/*/configs/*.json"):
        if path.name != "metadata.json":
            typed = set(re.findall(r'"version": "([^"]*)"', path.read_text()))
            assert typed <= {scripts.__version__, "@_meta_::version"}, path
