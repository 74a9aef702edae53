"""Label Studio in a virtual environment of its own: its pins would fight with this project's."""

import fcntl
import logging
import os
import subprocess
import sys
from pathlib import Path

from integrations.label_studio.errors import LabelStudioError

VERSION = "1.23.2"

logger = logging.getLogger(__name__)


def cache_folder() -> Path:
    """Where environments and template data directories are kept, by version."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "medical-vlm-bundles"


def install() -> Path:
    """The program `label-studio`, installed at first use (1 GB, some minutes).

    Raises:
        LabelStudioError: pip could not install it.
    """
    environment = cache_folder() / f"label-studio-{VERSION}"
    ready = environment / ".ready"
    if not ready.is_file():
        cache_folder().mkdir(parents=True, exist_ok=True)
        with open(cache_folder() / f"label-studio-{VERSION}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not ready.is_file():
                _install(environment)
                ready.touch()
    return environment / "bin" / "label-studio"


def _install(environment: Path) -> None:
    logger.warning("installing Label Studio %s into %s; this takes some minutes, once", VERSION, environment)
    pip = [environment / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for command in ([sys.executable, "-m", "venv", environment], [*pip, f"label-studio=={VERSION}"]):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            last = "\n".join(done.stderr.strip().splitlines()[-5:])
            raise LabelStudioError(
                f"Label Studio {VERSION} could not be installed into {environment}; see to it and try again:\n{last}"
            )
