"""Files that are whole or not there, and their fingerprints."""

import hashlib
import json
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a path to write to that becomes `path` when the block ends well, so that readers never see half a file.

        with atomic_path("runs/model.pt") as temporary:
            torch.save(state, temporary)

    The temporary file stands in the same folder (made if absent), hidden, with the same ending, because some writers
    choose their format by it. On an exception it is removed and an older `path` stays as it was.

    Raises:
        FileNotFoundError: the block ended without having written the file.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{secrets.token_hex(4)}.{path.name}")
    try:
        yield temporary
        # A rename may reach the disk before the content does; after a power cut the file would be there and empty.
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_atomically(path: str | Path, data: str | bytes) -> None:
    """Write text (UTF-8, line ends as given) or bytes; `path` is whole at every moment."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data.encode("utf-8") if isinstance(data, str) else data)


def write_json_atomically(path: str | Path, content: Any) -> None:
    """Write `content` as indented JSON in UTF-8, keys in their own order.

    Raises:
        ValueError: NaN or infinity, which JSON does not have.
    """
    write_atomically(path, json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def text_id(text: str) -> int:
    """A number for a text that is the same on every rank; 63 bits of its SHA-256."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def sha256_of(path_or_paths: str | Path | Iterable[str | Path]) -> str:
    """SHA-256 of a file, 64 hexadecimal digits; of several files, the SHA-256 of their digests in the order given."""
    if isinstance(path_or_paths, str | Path):
        with open(path_or_paths, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    digests = "\n".join(sha256_of(path) for path in path_or_paths)
    return hashlib.sha256(digests.encode()).hexdigest()
