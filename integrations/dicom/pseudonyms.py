"""Pseudonyms: keyed hashes of ids, which nobody without the key can turn back or try out."""

import hmac
import os
import secrets
from base64 import b32encode
from hashlib import sha256
from pathlib import Path

from integrations.dicom.errors import DicomError

KEY_BYTES = 32
LENGTH = 16
"""Characters of base32, 80 bits: among a million ids, two alike have a chance of one in 10^12."""


class Pseudonyms:
    """Stand-ins for ids, the same ones as long as the key is the same.

        pseudonyms = Pseudonyms("data/label_studio/key")
        pseudonyms.of("case", "CT-2024-0113")  # "case-3kq7..."

    Args:
        key_path: file of the key, readable by its owner alone; made at first use. Who has it can tell by trying whether a
            pseudonym stands for an id; without it, ids pushed anew get other pseudonyms.

    Raises:
        DicomError: the file holds no key.
    """

    def __init__(self, key_path: str | Path) -> None:
        path = Path(key_path)
        if not path.is_file():
            _make_key(path)
        try:
            self._key = bytes.fromhex(path.read_text(encoding="ascii").strip())
        except ValueError:
            self._key = b""
        if len(self._key) != KEY_BYTES:
            hint = "restore it from a copy; without one, move it away and push to a new project"
            raise DicomError(f"{path}: is not a key of {2 * KEY_BYTES} hexadecimal digits; {hint}")

    def of(self, kind: str, value: str) -> str:
        """Pseudonym of an id: its kind, a hyphen and 16 lower-case letters and digits.

        Args:
            kind: what it is an id of, such as "case" or "patient"; one value has another pseudonym as another kind.
            value: the id.
        """
        digest = hmac.digest(self._key, f"{kind}\0{value}".encode(), sha256)
        return f"{kind}-{b32encode(digest).decode().lower()[:LENGTH]}"


def _make_key(path: Path) -> None:
    """Write a new key; where another process has just made one, that one stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{secrets.token_hex(4)}.{path.name}")
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(secrets.token_hex(KEY_BYTES) + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()
