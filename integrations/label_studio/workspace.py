"""The user's working folder: Label Studio's own data, the pictures that it shows, and what never leaves the user's side."""

import json
import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from integrations.label_studio.errors import LabelStudioError
from scripts.files.atomic import write_atomically, write_json_atomically


@dataclass(frozen=True)
class Workspace:
    """One folder with everything that reviews need.

        place = Workspace(Path("data/label_studio"))

    - `server/`: the data directory of the Label Studio that `serve` starts; `token`: its key.
    - `backend_password`: what Label Studio shows a backend.
    - `images/PROJECT/`: pictures, the only thing that the browser sees of the cases' files.
    - `key`: secret of the pseudonyms.
    - `cases/PROJECT/CASE.json`: who a pseudonym is, and what was sent of the case; the way back needs it.
    """

    folder: Path

    @property
    def server(self) -> Path:
        return self.folder.absolute() / "server"

    @property
    def token(self) -> Path:
        return self.folder.absolute() / "token"

    @property
    def backend_password(self) -> Path:
        return self.folder.absolute() / "backend_password"

    @property
    def images(self) -> Path:
        return self.folder.absolute() / "images"

    @property
    def key(self) -> Path:
        return self.folder.absolute() / "key"

    def cases(self, project: str) -> Path:
        return self.folder.absolute() / "cases" / project

    def save_case(self, project: str, pseudonym: str, case: dict[str, Any]) -> None:
        """Keep what the way back needs of a case."""
        write_json_atomically(self.cases(project) / f"{pseudonym}.json", case)

    def read_case(self, project: str, pseudonym: str) -> dict[str, Any] | None:
        """What `save_case` kept; None if it kept nothing of that case."""
        path = self.cases(project) / f"{pseudonym}.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None

    def make_token(self) -> str:
        """The local server's key, 40 hexadecimal digits; made at first use."""
        return _secret(self.token)

    def make_backend_password(self) -> str:
        """What Label Studio has to show a backend; made at first use."""
        return _secret(self.backend_password)


def _secret(path: Path) -> str:
    """A file's 40 hexadecimal digits, readable by its owner alone; written at first use."""
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        old = os.umask(0o077)
        try:
            write_atomically(path, secrets.token_hex(20) + "\n")
        finally:
            os.umask(old)
    return path.read_text().strip()


def check_project(name: str) -> str:
    """A project's name, which is also that of its folders.

    Raises:
        LabelStudioError: shorter than 3 or longer than 50 characters, or characters that not every file system has.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{2,49}", name):
        raise LabelStudioError(f"project {name!r}: give 3 to 50 letters, digits, - or _, beginning with a letter or digit")
    return name
