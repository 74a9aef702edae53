"""A Label Studio of one's own: on loopback, no sign-up, nothing sent to anyone, all its data in one folder."""

import fcntl
import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psutil

from integrations.label_studio.errors import LabelStudioError
from integrations.label_studio.server.installation import VERSION, cache_folder, install
from integrations.label_studio.workspace import Workspace
from scripts.files.atomic import write_json_atomically

HOST = "127.0.0.1"
PORT = 8080
USER = "expert@localhost.local"
STARTUP_TIMEOUT_S = 300
"""Seconds until a server that does not come up is given up; an empty database takes a busy machine a minute."""
SHUTDOWN_TIMEOUT_S = 20

logger = logging.getLogger(__name__)


@contextmanager
def running(workspace: Workspace, port: int = PORT) -> Iterator[str]:
    """A server while the block lasts; gives its address.

        with running(Workspace(Path("data/label_studio"))) as url:
            client = connect(place, url)

    Raises:
        LabelStudioError: the port is taken, the folder has a server already, or the server does not come up; names its log.
    """
    process = _launch(workspace, port)
    try:
        yield _address_when_up(workspace, port, process)
    finally:
        _stop(process)


def serve(workspace: Workspace, port: int = PORT) -> None:
    """Run a server until Ctrl-C or SIGTERM; prints its address and login."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with running(workspace, port) as url:
            print(f"{login_of(workspace, url)}\nCtrl-C stops it", flush=True)
            with suppress(KeyboardInterrupt):
                signal.pause()
    finally:
        signal.signal(signal.SIGTERM, before)
    print("stopped")


def start(workspace: Workspace, port: int = PORT) -> str:
    """Start a server that stays when this process ends, unless the folder has one already; its address.

    Raises:
        LabelStudioError: the port is taken, or the server does not come up; names its log.
    """
    there = _background(workspace)
    if there is not None:
        return there[1]
    process = _launch(workspace, port)
    try:
        url = _address_when_up(workspace, port, process)
        write_json_atomically(_record(workspace), {"pid": process.pid, "started": process.create_time(), "url": url})
    except BaseException:
        _stop(process)
        raise
    return url


def stop(workspace: Workspace) -> bool:
    """End the server that `start` has left running; False where there is none."""
    there = _background(workspace)
    if there is not None:
        _stop(there[0])
    _record(workspace).unlink(missing_ok=True)
    return there is not None


def login_of(workspace: Workspace, url: str) -> str:
    """What a person needs to open the server's page."""
    return f"Label Studio {VERSION}: {url}\nuser {USER}, password {password_of(workspace)}"


def _record(workspace: Workspace) -> Path:
    return workspace.server / "background.json"


def _background(workspace: Workspace) -> tuple[psutil.Process, str] | None:
    """The server that `start` has left running, and its address. A process of the same number may be another's."""
    if not _record(workspace).is_file():
        return None
    record = json.loads(_record(workspace).read_text(encoding="utf-8"))
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(record["pid"])
        if process.create_time() == record["started"] and process.status() != psutil.STATUS_ZOMBIE:
            return process, record["url"]
    return None


def _launch(workspace: Workspace, port: int) -> psutil.Popen:
    there = _background(workspace)
    if there is not None:
        raise LabelStudioError(f"{workspace.folder} has a server already, at {there[1]}; use that one, or end it with `stop`")
    with socket.socket() as probe:
        # Label Studio itself would go on to another port and say so only in its log.
        if probe.connect_ex((HOST, port)) == 0:
            raise LabelStudioError(f"port {port} is taken; stop what runs there (perhaps this server already), or give --port")
    program = install()
    workspace.images.mkdir(parents=True, exist_ok=True)
    if not (workspace.server / "label_studio.sqlite3").is_file():
        # Without the template's secret: each server makes one of its own.
        shutil.copytree(_template(program), workspace.server, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".env"))
    command = [program, "start", "--no-browser", "--port", str(port), "--internal-host", HOST, "--data-dir", str(workspace.server)]
    with open(_log(workspace), "ab") as output:
        # A group of its own: Ctrl-C reaches this process alone, which then ends the server in order.
        return psutil.Popen(
            command, env=_environment(workspace), stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )


def _log(workspace: Workspace) -> Path:
    return workspace.server / "server.log"


def _environment(workspace: Workspace) -> dict[str, str]:
    return _quiet_environment() | {
        "LABEL_STUDIO_BASE_DATA_DIR": str(workspace.server),
        "LABEL_STUDIO_USERNAME": USER,
        "LABEL_STUDIO_PASSWORD": password_of(workspace),
        "LABEL_STUDIO_USER_TOKEN": workspace.make_token(),
        "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
        "LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK": "true",
        "LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED": "true",
        "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT": str(workspace.images),
        # Predictions that the page would silently hide are refused.
        "fflag_feat_utc_210_prediction_validation_15082025": "true",
        # The backend for suggestions runs on loopback, which Label Studio bans along with the clouds' metadata addresses.
        "USE_DEFAULT_BANNED_SUBNETS": "false",
        "USER_ADDITIONAL_BANNED_SUBNETS": "169.254.0.0/16",
    }


def password_of(workspace: Workspace) -> str:
    """The local user's password: derived from the token, so that there is one secret to keep."""
    return workspace.make_token()[:16]


def _template(program: Path) -> Path:
    """A data directory with an empty database, made at first use: to copy it takes a moment, to make it a minute."""
    template = cache_folder() / f"label-studio-{VERSION}-template"
    with open(cache_folder() / f"{template.name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not template.is_dir():
            unfinished = template.with_suffix(".unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir(parents=True)
            # Asking for the version makes the database, but no user: the first start makes that one.
            command = [program, "version", "--data-dir", unfinished]
            done = subprocess.run(command, env=_quiet_environment(), capture_output=True, text=True)
            if done.returncode:
                last = "\n".join(done.stderr.strip().splitlines()[-5:])
                raise LabelStudioError(f"Label Studio could not set up a database in {unfinished}:\n{last}")
            unfinished.rename(template)
    return template


def _quiet_environment() -> dict[str, str]:
    """This process's environment without settings meant for another server; nothing is reported to anyone."""
    foreign = ("LABEL_STUDIO_", "DJANGO_", "PYTHONPATH")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return inherited | {"COLLECT_ANALYTICS": "false", "LATEST_VERSION_CHECK": "false", "SENTRY_DSN": "", "FRONTEND_SENTRY_DSN": ""}


def _address_when_up(workspace: Workspace, port: int, process: psutil.Popen) -> str:
    url, log = f"http://{HOST}:{port}", _log(workspace)
    give_up = time.monotonic() + STARTUP_TIMEOUT_S
    while time.monotonic() < give_up:
        if process.poll() is not None:
            raise LabelStudioError(f"Label Studio ended at once (status {process.returncode}); its log {log} tells why")
        with suppress(httpx.TransportError):
            if httpx.get(f"{url}/health", timeout=5).status_code == 200:
                return url
        time.sleep(0.3)
    raise LabelStudioError(f"Label Studio did not come up at {url} within {STARTUP_TIMEOUT_S} s; its log {log} tells why")


def _stop(process: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess):
        process.terminate()
        try:
            process.wait(SHUTDOWN_TIMEOUT_S)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait()
