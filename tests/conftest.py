"""Where tests find real images and published numbers, and what they do when these are absent."""

import atexit
import faulthandler
import json
import os
from pathlib import Path

import pytest

from tests.golden.arrays import GoldenArrays

SHARED = Path(os.environ.get("VLM_SHARED", Path(__file__).resolve().parents[2] / "shared"))


def pytest_sessionfinish() -> None:
    """Something that a test left behind must not keep the process from ending: after two minutes its stacks are printed."""
    atexit.register(faulthandler.dump_traceback_later, 120, exit=True)


def _folder(path: Path, what: str) -> Path:
    if not path.is_dir():
        pytest.skip(f"{what} not found at {path}; set VLM_SHARED to the folder that holds data/ and golden/")
    return path


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real medical images (cxr/, ct/, dicom/, endoscopy/)."""
    return _folder(SHARED / "data", "real test images")


@pytest.fixture(scope="session")
def golden() -> Path:
    """Folder of numbers computed by the published implementations (afloc/, fvlm/)."""
    return _folder(SHARED / "golden", "published implementations' numbers")


@pytest.fixture(scope="session")
def afloc_golden() -> Path:
    """Slim copy of the numbers of AFLoc's published implementation, always there (tests/golden/README.md)."""
    return Path(__file__).parent / "golden" / "afloc"


@pytest.fixture(scope="session")
def fvlm_golden() -> Path:
    """Slim copy of the numbers of fVLM's published implementation, always there (tests/golden/README.md)."""
    return Path(__file__).parent / "golden" / "fvlm" / "A"


@pytest.fixture(scope="session")
def afloc_facts(afloc_golden) -> dict:
    """Texts, prompts, orders and scalars of AFLoc's published run."""
    return json.loads((afloc_golden / "setA" / "golden.json").read_text())


@pytest.fixture(scope="session", params=["slim", "whole"])
def afloc_numbers(request, afloc_golden) -> GoldenArrays:
    """Arrays of AFLoc's published run: the slim copy, and the whole set where it is at hand."""
    if request.param == "slim":
        return GoldenArrays(afloc_golden / "setA" / "golden_slim.npz")
    return GoldenArrays(request.getfixturevalue("golden") / "afloc" / "setA" / "golden.npz")


@pytest.fixture(params=["slim 2", "slim 3", "whole 0", "whole 1", "whole 2", "whole 3"])
def afloc_film(request, afloc_golden) -> tuple[Path, str, GoldenArrays]:
    """A film of AFLoc's published run, and where the network's input that was made of it stands among the numbers."""
    kept, number = request.param.split()
    folder, file = (
        (afloc_golden, "golden_slim.npz") if kept == "slim" else (request.getfixturevalue("golden") / "afloc", "golden.npz")
    )
    (path,) = (folder / "setA" / "images").glob(f"img{number}_*.png")
    return path, f"inf_img_{number}", GoldenArrays(folder / "setA" / file)
