"""The one error of reading: a file that is no film, and why."""

from pathlib import Path

from scripts.files.errors import UserError


class ReadError(UserError):
    """A file that cannot be read as a film.

    Args:
        path: the file.
        reason: what is wrong with it and what would help, in words that need no knowledge of the reader.
    """

    def __init__(self, path: str | Path, reason: str) -> None:
        super().__init__(str(path), reason)  # both arguments kept, so that the error survives pickling between processes
        self.path = str(path)
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"
