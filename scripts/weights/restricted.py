"""Reading checkpoints that hold more than tensors, without running anything in them.

A training framework's checkpoint pickles its configuration and callbacks beside the weights, and unpickling such a
file the usual way runs whatever code its author put there. Here PyTorch's own weights-only reader does the reading;
it looks names up in a table and imports nothing. All this module adds to the table are inert stand-ins for the
objects that a Lightning checkpoint is known to hold: no class of the file is imported, no name outside the table is
admitted.
"""

import logging
import os
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch.serialization import UNSAFE_MESSAGE, get_unsafe_globals_in_checkpoint, safe_globals

from scripts.files.errors import ConversionError

logger = logging.getLogger(__name__)

# Packages whose objects describe a training run and say nothing about its weights, and the plain types they refer to.
INERT_PACKAGES = frozenset({"omegaconf", "pytorch_lightning", "typing"})
INERT_TYPES = frozenset(f"builtins.{name}" for name in ("bool", "dict", "float", "int", "list", "str", "tuple"))


class Inert:
    """Stands where an object of the file was; keeps nothing of it but its type's `name`."""

    name: str

    def __new__(cls, *arguments: Any) -> "Inert":
        return object.__new__(cls)

    def __init__(self, *arguments: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


def read_checkpoint(path: str | Path) -> Any:
    """Read a checkpoint written by `torch.save`; `weights_only=True` is tried first and used throughout.

    Args:
        path: the file. Beside tensors, numbers, strings and containers it may hold objects of `INERT_PACKAGES`.

    Returns:
        what was saved, on the CPU, with an `Inert` in the place of each such object.

    Raises:
        ConversionError: no such file, truncated, not a checkpoint, compressed, or it names anything else (all names
            are given).
    """
    path = Path(path)
    if not path.is_file():
        raise ConversionError(f"{path}: no such checkpoint file")
    _check_size(path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as fault:
        stand_ins = _stand_ins(path, fault)
    except Exception as fault:  # a damaged or hostile file can fail in any way; none of them is ours to mend
        raise _unreadable(path, fault) from fault
    logger.info("%s holds more than tensors; left out: %s", path, ", ".join(sorted(name for _, name in stand_ins)))
    with safe_globals(stand_ins):
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except Exception as fault:
            raise _unreadable(path, fault) from fault


def _stand_ins(path: Path, refusal: pickle.UnpicklingError) -> list[tuple[Any, str]]:
    """A stand-in for each harmless name that the weights-only reader does not know; a refusal that lists all others."""
    if zipfile.is_zipfile(path):
        try:
            names = get_unsafe_globals_in_checkpoint(path)
        except Exception as fault:
            raise _unreadable(path, fault) from fault
        refused = sorted(name for name in names if not _is_inert(name))
    else:
        # The format from before PyTorch 1.6 is read only when it holds tensors alone: no published checkpoint has it.
        names = []
        refused = re.findall(r"GLOBAL (\S+) (?:was not|whose module)", str(refusal))
    if refused:
        raise ConversionError(
            f"{path}: refused, nothing of it was run. Beside tensors it names {', '.join(refused)}. "
            "Where you trust the file, load it in its own environment and save its state_dict alone with torch.save"
        )
    if not names:
        raise _unreadable(path, refusal) from refusal
    # One class a name: a callback's class may be a key of a dictionary.
    return [(_plain_dict if n == "collections.defaultdict" else type("Inert", (Inert,), {"name": n}), n) for n in names]


def _is_inert(name: str) -> bool:
    return name.split(".")[0] in INERT_PACKAGES or name in INERT_TYPES or name == "collections.defaultdict"


def _plain_dict(*default_factory: Any) -> dict:
    return {}


def _check_size(path: Path) -> None:
    """Refuse an archive that unpacks to more than it takes on disk: torch.save never compresses, so it is a trap."""
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            claimed = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError) as fault:
        raise _unreadable(path, fault) from fault
    size = os.path.getsize(path)
    if claimed > size:
        raise ConversionError(
            f"{path}: its entries claim {claimed} bytes but the file has {size}. torch.save does not compress: "
            "get the file anew, or unpack and save it again with torch.save"
        )


def _unreadable(path: Path, fault: Exception) -> ConversionError:
    # PyTorch's advice to load without its restriction is not passed on.
    told = str(fault).replace(UNSAFE_MESSAGE, "").split("WeightsUnpickler error:")[-1].strip()
    reason = told.split("\n")[0] or type(fault).__name__
    return ConversionError(f"{path}: not a readable checkpoint, perhaps truncated or of another kind ({reason[:300]})")
