"""Where files stand."""

from pathlib import Path


def beside(file: str | Path, name: str) -> str:
    """Path of what stands in a file's folder: a checkpoint's text model or calibration, say."""
    return str(Path(file).parent / name)
