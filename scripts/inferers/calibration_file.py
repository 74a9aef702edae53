"""The file in which a calibration stands beside its checkpoint."""

from dataclasses import asdict, fields
from pathlib import Path
from typing import Self

import torch

from scripts.files.atomic import atomic_path
from scripts.files.errors import UserError


class CalibrationFile:
    """What calibrations, dataclasses of numbers and tensors, inherit: their way to a file and back."""

    def save(self, path: str | Path) -> None:
        """Write the calibration so that `torch.load(weights_only=True)` reads it."""
        with atomic_path(path) as beside:
            torch.save(asdict(self), beside)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote.

        Raises:
            UserError: no such file, or another task's calibration.
        """
        hint = "run the bundle's evaluate.json with --calibrate True, name another, or do without: --calibration False"
        if not Path(path).is_file():
            raise UserError(f"no calibration at {path}: {hint}")
        content = torch.load(path, map_location="cpu", weights_only=True)
        wanted = {field.name for field in fields(cls)}
        if not isinstance(content, dict) or set(content) != wanted:
            raise UserError(f"{path} is no calibration of this task, which holds {', '.join(sorted(wanted))}: {hint}")
        return cls(**content)
