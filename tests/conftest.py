"""Where tests find real images and published numbers, and what they do when these are absent."""

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("VLM_SHARED", Path(__file__).resolve().parents[2] / "shared"))


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
