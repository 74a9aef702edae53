"""What a tracked run writes down about itself: its recipe, its code, its data, its machine."""

import getpass
import importlib.metadata
import json
import logging
import os
import platform
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from monai.bundle import ConfigParser

from scripts.files.atomic import sha256_of
from scripts.tracking.address import PROJECT

logger = logging.getLogger(__name__)

PACKAGES = ("torch", "monai", "pytorch-ignite", "transformers", "mlflow", "numpy")
_SECRET_NAME = re.compile(r"(^|[_.-])(password|secret|token|api_key)$", re.IGNORECASE)
_URI_LOGIN = re.compile(r"(?<=://)[^/@\s]+@")


def running_config() -> ConfigParser | None:
    """The bundle config whose items are being built right now, or None outside a bundle.

    MONAI hands a component only the items that it names, so the whole recipe, command-line overrides included, is found
    on the call stack: the component is being built by a method of its `ConfigParser`.
    """
    frame = sys._getframe(1)
    while frame is not None:
        if isinstance(owner := frame.f_locals.get("self"), ConfigParser):
            return owner
        frame = frame.f_back
    return None


def recipe(parser: ConfigParser) -> dict[str, Any]:
    """The config as it stands after merging files and overrides, with secrets blanked."""
    return without_secrets(parser.get())


def settings(parser: ConfigParser) -> dict[str, Any]:
    """The flattened config, in which a reference or expression that came out as a plain value is that value."""
    found = parser.ref_resolver.resolved_content
    return without_secrets({key: _outcome(found, key, value) for key, value in flatten(parser.get()).items()})


def _outcome(found: Mapping[str, Any], key: str, value: Any) -> Any:
    marks = ("@", "$", "%")
    if isinstance(value, str) and value.startswith(marks):
        for name in (key.replace(".", "::"), value[1:].replace("#", "::")):
            result = found.get(name, value)
            plain = result is None or isinstance(result, bool | int | float | Path)
            if plain or (isinstance(result, str) and not result.startswith(marks)):
                return result
    return value


def flatten(config: Mapping[str, Any]) -> dict[str, Any]:
    """Nested mappings as one level: {"a": {"b": [1, 2], "c": [{"d": 3}]}} -> {"a.b": [1, 2], "a.c.0.d": 3}.

    Lists are opened only where they hold mappings. Descriptions (`_desc_`) are left out.
    """
    return dict(_leaves(config, ""))


def _leaves(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        items = [(str(key), item) for key, item in value.items() if key != "_desc_"]
    elif isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value):
        items = [(str(index), item) for index, item in enumerate(value)]
    else:
        yield name, value
        return
    for key, item in items:
        yield from _leaves(item, f"{name}.{key}" if name else key)


def without_secrets(value: Any, name: str = "") -> Any:
    """Copy in which logins inside addresses and values of keys such as `password` or `x_token` are `***`."""
    if isinstance(value, Mapping):
        return {str(key): without_secrets(item, str(key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_secrets(item) for item in value]
    if value not in (None, "") and _SECRET_NAME.search(name):
        return "***"
    if isinstance(value, str | Path):
        return _URI_LOGIN.sub("***@", str(value))
    return value if value is None or isinstance(value, bool | int | float) else repr(value)


def command_line() -> str:
    """The command that started this process, quoted for a shell, with secrets blanked."""
    words, hide = [], False
    for word in sys.argv:
        name, equals, _ = word.partition("=")
        secret = bool(_SECRET_NAME.search(name.lstrip("-")))
        words.append("***" if hide else f"{name}=***" if secret and equals else _URI_LOGIN.sub("***@", word))
        hide = secret and not equals and word.startswith("-")
    return shlex.join(words)


def git_facts(folder: Path = PROJECT) -> dict[str, str]:
    """Revision of the code in `folder`, and whether files differ from it; both "unknown" outside git."""
    try:
        revision = _git(folder, "rev-parse", "HEAD")
        return {"git.revision": revision, "git.dirty": str(bool(_git(folder, "status", "--porcelain"))).lower()}
    except (OSError, subprocess.SubprocessError):
        return {"git.revision": "unknown", "git.dirty": "unknown"}


def _git(folder: Path, *words: str) -> str:
    command = ["git", "-C", str(folder), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout.strip()


def package_versions() -> dict[str, str]:
    """Versions of Python and of the packages whose version changes results; "absent" where one is not installed."""
    versions = {"version.python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[f"version.{name}"] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[f"version.{name}"] = "absent"
    return versions


def hardware() -> dict[str, str]:
    """Names of the accelerators that Torch sees, the processor, how many of its cores this process may use, and Torch's threads."""
    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "hardware.gpus": ", ".join(gpus) or "none",
        "hardware.cpu": _processor(),
        "hardware.cpu_cores": str(cores),
        "hardware.threads": str(torch.get_num_threads()),
        "hardware.processes": os.environ.get("WORLD_SIZE", "1"),
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def user() -> str:
    """Name of the account, or "unknown" where the machine has none (containers with a bare user id)."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def datalist_facts(path: str | Path) -> dict[str, Any]:
    """Name, sha256 and sizes of a datalist file; nothing of its records.

    Returns:
        {"name": str, "path": str, "sha256": str, "sizes": {"training": int, ...}}
    """
    path = Path(path).resolve()
    content = json.loads(path.read_text(encoding="utf-8"))
    sizes = {key: len(value) for key, value in content.items() if isinstance(value, list)}
    return {
        "name": str(content.get("name", path.stem)),
        "path": str(path),
        "sha256": sha256_of(path),
        "sizes": sizes,
    }


def process() -> dict[str, Any]:
    """Identity of this process, by which a later one can see that it has died: {"pid", "host", "started"}."""
    return {"pid": os.getpid(), "host": socket.gethostname(), "started": _start_of(os.getpid())}


def process_tags() -> dict[str, str]:
    """Who ran what and where, as tags; `mlflow.user` and `mlflow.source...` are those that MLflow's own pages show."""
    this = process()
    tags = {"command_line": command_line(), "process.pid": str(this["pid"]), "process.host": this["host"]}
    return tags | {"mlflow.user": user(), "mlflow.source.name": sys.argv[0] or "python", "mlflow.source.type": "LOCAL"}


def is_alive(other: Mapping[str, Any]) -> bool | None:
    """Whether a `process()` of earlier still runs; None when it ran on another host, where this cannot be seen."""
    if other["host"] != socket.gethostname():
        return None
    try:
        os.kill(other["pid"], 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        logger.debug("process %s exists and belongs to someone else", other["pid"])
    return _start_of(other["pid"]) == other["started"]


def _start_of(pid: int) -> str:
    """When a process started, in ticks since boot, which tells it from a later one with its number; "" without /proc.

    A zombie counts as dead: it has started, but holds nothing any more.
    """
    stat = Path(f"/proc/{pid}/stat")
    if not stat.is_file():
        return ""
    fields = stat.read_text().rpartition(")")[2].split()
    return "zombie" if fields[0] == "Z" else fields[19]


def rank() -> int:
    """This process's rank, also before `init_process_group`, from the launcher's environment."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank()
    return int(os.environ.get("RANK", "0")) if int(os.environ.get("WORLD_SIZE", "1")) > 1 else 0


def parent_run_id(parent_run: str | Path) -> str:
    """A run id from itself, from an mlflow_run_id file, or from the folder that holds one.

    Raises:
        FileNotFoundError: a path at which there is none.
    """
    path = Path(parent_run)
    path = path / "mlflow_run_id" if path.is_dir() else path
    if path.is_file():
        return path.read_text().strip()
    if len(path.parts) > 1:
        raise FileNotFoundError(f"parent_run: {path} does not exist; give the training's output_dir or MLflow run id, or null")
    return str(parent_run)
