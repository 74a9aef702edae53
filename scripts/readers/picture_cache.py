"""Pictures as a network sees them, kept on disk: decoding and finding the field of view cost more than a small network's step."""

import hashlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path

import numpy as np


class PictureCache:
    """Arrays made from files, made once. A file that changes (its time or its size) is made anew; readers never see half an array.

        cache = PictureCache("data/nasal/cache", "exam 224")
        picture = cache.get(path, lambda: view.apply(read_frame(path)))

    Args:
        folder: where the arrays are kept, as .npy; made if absent, and free to be deleted between runs.
        recipe: what is made of a file; arrays of different recipes stand beside each other.
    """

    def __init__(self, folder: str | Path, recipe: str) -> None:
        self.folder = Path(folder)
        self.recipe = recipe

    def get(self, path: str | Path, make: Callable[[], np.ndarray]) -> np.ndarray:
        """The array of a file, from disk or made now; whatever `make` raises passes through and nothing is kept."""
        kept = self._place(Path(path))
        if kept is not None and kept.is_file():
            return np.load(kept)
        array = make()
        if kept is not None:
            kept.parent.mkdir(parents=True, exist_ok=True)
            temporary = kept.with_name(f".{secrets.token_hex(4)}.npy")
            np.save(temporary, array)
            os.replace(temporary, kept)
        return array

    def _place(self, path: Path) -> Path | None:
        """None where the file is not there: `make` tells what is wrong with it."""
        try:
            state = path.stat()
        except OSError:
            return None
        name = hashlib.sha256(f"{self.recipe}|{path.absolute()}|{state.st_mtime_ns}|{state.st_size}".encode()).hexdigest()
        return self.folder / name[:2] / f"{name}.npy"
