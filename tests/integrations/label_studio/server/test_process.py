"""The local server: nothing but loopback, no sign-up, no stranger; and the commands around it."""

import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from integrations.label_studio.__main__ import main
from integrations.label_studio.errors import LabelStudioError
from integrations.label_studio.server.installation import VERSION, cache_folder
from integrations.label_studio.server.process import running
from integrations.label_studio.workspace import Workspace
from tests.integrations.conftest import free_port
from tests.integrations.label_studio.test_round_trip import submit, tasks_of

ROOT = Path(__file__).resolve().parents[4]


def command(monkeypatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["integrations.label_studio", *arguments])
    return main()


def test_it_listens_on_loopback_alone(server):
    port = urlsplit(server).port
    listening = [one for one in psutil.net_connections("tcp") if one.status == psutil.CONN_LISTEN and one.laddr.port == port]
    assert [one.laddr.ip for one in listening] == ["127.0.0.1"]


def test_strangers_get_nothing(server):
    assert httpx.get(f"{server}/api/projects").status_code == 401
    assert httpx.get(f"{server}/api/projects", headers={"Authorization": "Token " + "0" * 40}).status_code == 401
    page = httpx.Client(base_url=server)
    page.get("/user/signup")
    form = {"email": "a@b.cd", "password": "long enough 1", "csrfmiddlewaretoken": page.cookies.get("csrftoken", "")}
    assert (
        page.post("/user/signup/", data=form).status_code in (403, 404) or page.get("/api/current-user/whoami").status_code == 401
    )


def test_secrets_are_the_owners_alone(workspace, server):
    for secret in (workspace.token, workspace.server / ".env"):
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    template = cache_folder() / f"label-studio-{VERSION}-template" / ".env"
    assert (workspace.server / ".env").read_text() != template.read_text()


def test_a_taken_port_is_told(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(LabelStudioError, match=f"port {port} is taken"), running(Workspace(tmp_path), port):
            pass


@pytest.mark.slow
def test_serve_tells_address_and_login_keeps_its_data_and_ends_in_order(tmp_path):
    port = free_port()
    arguments = [sys.executable, "-m", "integrations.label_studio", "serve", "--data", str(tmp_path), "--port", str(port)]
    tokens = []
    for _ in range(2):
        process = subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout.readline().strip().endswith(f"http://127.0.0.1:{port}")
            assert process.stdout.readline().startswith("user expert@")
            tokens.append((tmp_path / "token").read_text().strip())
            headers = {"Authorization": f"Token {tokens[0]}"}
            assert httpx.get(f"http://127.0.0.1:{port}/api/projects", headers=headers).status_code == 200
            servers = psutil.Process(process.pid).children(recursive=True)
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        assert servers and not any(one.is_running() for one in servers)
    assert tokens[0] == tokens[1]


@pytest.mark.slow
def test_a_server_in_the_background_stays_until_it_is_stopped(tmp_path, monkeypatch, capsys):
    there, port = ["--data", str(tmp_path)], free_port()
    try:
        assert command(monkeypatch, "serve", "--background", *there, "--port", str(port)) == 0
        said = capsys.readouterr().out
        assert f"http://127.0.0.1:{port}" in said and "password" in said
        assert httpx.get(f"http://127.0.0.1:{port}/health").json()["status"] == "UP"
        # A second start finds the first one, whatever port it asks for; one that would end with its command is refused.
        assert command(monkeypatch, "serve", "--background", *there, "--port", str(free_port())) == 0
        assert capsys.readouterr().out == said
        assert command(monkeypatch, "serve", *there) == 1
        assert "has a server already" in capsys.readouterr().err
    finally:
        assert command(monkeypatch, "stop", *there) == 0
    assert capsys.readouterr().out == "stopped\n"
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/health")
    assert command(monkeypatch, "stop", *there) == 0
    assert "no server runs" in capsys.readouterr().out


def test_commands_push_and_pull(client, workspace, server, project, films, tmp_path, monkeypatch, capsys):
    folder = films([(40, 50), (34, 60)])
    there = ["--data", str(workspace.folder), "--project", project, "--url", server]
    assert command(monkeypatch, "push", str(folder), *there, "--datalist", str(folder / "datalist.json")) == 0
    assert "2 new tasks, 2 new predictions, 0 there already" in capsys.readouterr().out
    assert command(monkeypatch, "push", str(folder), *there, "--datalist", str(folder / "datalist.json")) == 0
    assert "0 new tasks, 0 new predictions, 2 there already" in capsys.readouterr().out
    submit(client, tasks_of(client, project)[0])
    assert command(monkeypatch, "pull", *there, "--output", str(tmp_path / "out")) == 0
    assert "1 cases, 1 reviews; findings 3 accepted" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments, status, said",
    [
        (["pusch"], 2, '"push" is meant'),
        (["push", "x", "--project", "abc", "--shape", "star"], 2, "unknown shape"),
        (["push", "x", "--project", "abc", "--random_share", "2"], 2, "from 0 to 1"),
        (
            ["pull", "--project", "abc", "--output", "out", "--url", "http://127.0.0.1:9", "--token", "a" * 40],
            1,
            "no server answers",
        ),
        (["pull", "--project", "abc", "--output", "out", "--data", "/nowhere"], 1, "no token"),
        (["serve", "--port", "none"], 2, "--port is none"),
    ],
)
def test_commands_not_understood_say_how_to_write_them(arguments, status, said, monkeypatch, capsys):
    monkeypatch.delenv("LABEL_STUDIO_TOKEN", raising=False)
    assert command(monkeypatch, *arguments) == status
    assert said in capsys.readouterr().err


def test_a_misspelt_flag_is_refused_before_anything_is_sent(monkeypatch, capsys):
    with pytest.raises(SystemExit) as stopped:
        command(monkeypatch, "push", "x", "--project", "abc", "--shap", "box")
    assert stopped.value.code == 2


def test_a_server_of_ones_own_by_environment(client, workspace, server, project, films, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LABEL_STUDIO_URL", server)
    monkeypatch.setenv("LABEL_STUDIO_TOKEN", workspace.make_token())
    other = tmp_path / "elsewhere"
    arguments = ["push", str(films([(40, 50)])), "--data", str(other), "--project", project]
    # The server does not have the other folder's pictures below its own: it says so, and so does the command.
    assert command(monkeypatch, *arguments) == 1
    assert "--server_images" in capsys.readouterr().err
