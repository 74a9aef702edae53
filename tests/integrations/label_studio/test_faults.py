"""A real server behind a proxy that loses and spoils what passes: no task twice, none lost, a message that says what to do."""

import base64
import hmac
import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress

import psutil
import pytest
from label_studio_sdk.core.api_error import ApiError

from integrations.label_studio import push as pushing
from integrations.label_studio.client import ServerGone, connect
from integrations.label_studio.errors import LabelStudioError
from integrations.label_studio.pages.image import ImagePage
from integrations.label_studio.push import push
from integrations.label_studio.server.process import start, stop
from integrations.label_studio.workspace import Workspace
from scripts.cases.finding import Finding
from scripts.files.errors import PredictionError
from scripts.predictions.predictions import PredictionWriter
from tests.integrations.conftest import MODEL, blob, free_port
from tests.integrations.label_studio.faulty_proxy import (
    ANSWER_LATE,
    LOSE_ANSWER,
    LOSE_REQUEST,
    PASS,
    SERVER_ERROR,
    UNAUTHORIZED,
    FaultyProxy,
)

SIZES = [(40, 50)] * 5


@pytest.fixture(autouse=True)
def in_small_steps(monkeypatch):
    monkeypatch.setattr(pushing, "BATCH_TASKS", 2)
    monkeypatch.setattr(pushing, "PAUSES", (0.1, 0.1))
    monkeypatch.setattr(pushing, "SETTLING", 1)


def once(method: str, part: str, what: str, at: int = 1):
    """A fault at the `at`-th request of that method whose path holds `part`."""
    seen = Counter()

    def fault(asked: str, path: str) -> str:
        if asked != method or part not in path:
            return PASS
        seen["all"] += 1
        return what if seen["all"] == at else PASS

    return fault


def cases_on(client, project) -> list[tuple[str, int]]:
    """Case and number of predictions of each task."""
    found = next(one for one in client.projects.list(title=project) if one.title == project)
    return sorted((task.data["case_id"], task.total_predictions) for task in client.tasks.list(project=found.id))


def assert_each_once(client, project, count: int, predictions: int = 1) -> None:
    found = cases_on(client, project)
    assert len({case for case, _ in found}) == len(found) == count
    assert {number for _, number in found} == {predictions}


def test_the_same_push_twice_changes_nothing(client, workspace, server, project, films):
    folder = films(SIZES)
    push(client, workspace, folder, project)
    with FaultyProxy(server) as proxy:
        done = push(connect(workspace, proxy.url), workspace, folder, project)
    assert (done.new_tasks, done.new_predictions) == (0, 0)
    writes = [(method, path) for method, path, _ in proxy.requests if method not in ("GET", "HEAD")]
    assert [method for method, _ in writes] == ["PATCH"], writes
    assert_each_once(client, project, 5)


@pytest.mark.parametrize("what", [LOSE_ANSWER, LOSE_REQUEST, SERVER_ERROR])
def test_a_batch_without_answer_is_neither_lost_nor_sent_twice(what, client, workspace, server, project, films):
    with FaultyProxy(server, once("POST", "/import", what, at=2)) as proxy:
        done = push(connect(workspace, proxy.url), workspace, films(SIZES), project)
    assert done.new_tasks == 5
    assert_each_once(client, project, 5)


def test_a_request_that_arrives_after_its_caller_gave_up_makes_no_second_task(client, workspace, server, project, films):
    with FaultyProxy(server, once("POST", "/import", ANSWER_LATE), lateness=6) as proxy:
        push(connect(workspace, proxy.url, timeout=4), workspace, films(SIZES), project)
        time.sleep(proxy.lateness)
    # However late it was, the next push finds what came twice.
    push(client, workspace, films(SIZES), project)
    assert_each_once(client, project, 5)


def test_predictions_of_a_second_model_survive_a_lost_answer(client, workspace, server, project, films):
    push(client, workspace, films(SIZES), project)
    other = films(SIZES, model=MODEL | {"checkpoint_sha256": "b" * 64}, name="other")
    with FaultyProxy(server, once("POST", "/import/predictions", LOSE_ANSWER)) as proxy:
        done = push(connect(workspace, proxy.url), workspace, other, project)
    assert (done.new_tasks, done.new_predictions) == (0, 5)
    assert_each_once(client, project, 5, predictions=2)


def test_a_push_whose_server_went_away_goes_on_later(client, workspace, server, project, films):
    imports = Counter()

    def dies(method: str, path: str) -> str:
        imports["seen"] += method == "POST" and "/import" in path
        return LOSE_REQUEST if imports["seen"] >= 2 else PASS

    with FaultyProxy(server, dies) as proxy, pytest.raises(ServerGone, match="run the command again"):
        push(connect(workspace, proxy.url), workspace, films(SIZES), project)
    assert len(cases_on(client, project)) == 2
    assert push(client, workspace, films(SIZES), project).new_tasks == 3
    assert_each_once(client, project, 5)


@pytest.mark.slow
def test_a_server_killed_in_the_middle_of_a_push(project, films, tmp_path):
    workspace, imports = Workspace(tmp_path / "own"), Counter()
    port = free_port()
    url = start(workspace, port)

    def kills(method: str, path: str) -> str:
        imports["seen"] += method == "POST" and "/import" in path
        if imports["seen"] == 2:
            psutil.Process(json.loads((workspace.server / "background.json").read_text())["pid"]).kill()
        return PASS

    try:
        with FaultyProxy(url, kills) as proxy, pytest.raises(ServerGone, match="run the command again"):
            push(connect(workspace, proxy.url), workspace, films(SIZES), project)
        assert start(workspace, port) == url
        client = connect(workspace, url)
        assert len(cases_on(client, project)) < 5
        push(client, workspace, films(SIZES), project)
        assert_each_once(client, project, 5)
    finally:
        stop(workspace)


def test_answers_that_never_come_are_told_and_made_up_for(client, workspace, server, project, films):
    with FaultyProxy(server, lambda method, path: ANSWER_LATE if method == "POST" and "/import" in path else PASS, 3) as proxy:
        with pytest.raises(ServerGone, match="no answer in time"):
            push(connect(workspace, proxy.url, timeout=2), workspace, films(SIZES), project)
        time.sleep(proxy.lateness)
    push(client, workspace, films(SIZES), project)
    assert_each_once(client, project, 5)


def test_a_token_that_ends_in_the_middle_is_told_and_the_push_goes_on_with_another(client, workspace, server, project, films):
    ended = pytest.raises(LabelStudioError, match="token is wrong, expired or revoked")
    with FaultyProxy(server, once("POST", "/import", UNAUTHORIZED, at=2)) as proxy, ended:
        push(connect(workspace, proxy.url), workspace, films(SIZES), project)
    assert len(cases_on(client, project)) == 2
    assert push(client, workspace, films(SIZES), project).new_tasks == 3
    assert_each_once(client, project, 5)


@pytest.fixture
def personal_token(client) -> Iterator[str]:
    """A personal access token, of which a user has one at a time; revoked in the end."""
    token = client.tokens.create().token
    yield token
    with suppress(ApiError):
        client.tokens.blacklist(refresh=token)


def test_an_expired_personal_access_token_is_told(personal_token, workspace, server):
    header, payload, _ = personal_token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    expired = base64.urlsafe_b64encode(json.dumps(claims | {"exp": int(time.time()) - 60}).encode()).decode().rstrip("=")
    secret = next(line for line in (workspace.server / ".env").read_text().splitlines() if line.startswith("SECRET_KEY="))
    key = secret.partition("=")[2].strip("'\"").encode()
    digest = hmac.digest(key, f"{header}.{expired}".encode(), "sha256")
    signature = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    with pytest.raises(LabelStudioError, match="expired or revoked"):
        connect(workspace, server, f"{header}.{expired}.{signature}")


def test_tokens_that_do_not_open(client, workspace, server, tmp_path):
    with pytest.raises(LabelStudioError, match="token is wrong, expired or revoked") as caught:
        connect(workspace, server, "0" * 40)
    assert "cookie" not in str(caught.value).lower() and "header" not in str(caught.value).lower()
    with pytest.raises(LabelStudioError, match="start a server with `serve`"):
        connect(Workspace(tmp_path), server)


def test_a_personal_access_token_opens_until_it_is_revoked(client, personal_token, workspace, server):
    assert connect(workspace, server, personal_token).users.whoami().email
    client.tokens.blacklist(refresh=personal_token)
    with pytest.raises(LabelStudioError, match="expired or revoked"):
        connect(workspace, server, personal_token)


def test_no_server_there_is_told(workspace):
    with pytest.raises(ServerGone, match="no server answers there"):
        connect(workspace, "http://127.0.0.1:9", "0" * 40)


def test_a_wrong_configuration_is_told_with_the_servers_reason(client, workspace, project, films, monkeypatch):
    monkeypatch.setattr(pushing, "_check", lambda *_: None)
    monkeypatch.setattr(ImagePage, "configuration", lambda *_: '<View><BrushLabels name="masks" toName="nothing"/></View>')
    with pytest.raises(LabelStudioError, match=r"refused \(400\).*nothing"):
        push(client, workspace, films(SIZES), project)


def test_predictions_that_fit_no_picture_are_all_named_and_nothing_is_sent(client, workspace, project, films, tmp_path):
    folder = films(SIZES[:2])
    images = [tmp_path / "film0.png", tmp_path / "film1.png"]
    with PredictionWriter(folder, "cxr", MODEL) as writer:
        writer.add("s1", images[:1], [Finding("Mass", mask=blob(41, 50, 0))])
        writer.add("s2", images[1:], [Finding("Mass", box=[30, 30, 40, 5])])
    with pytest.raises(LabelStudioError) as caught:
        push(client, workspace, folder, project)
    assert "s1" in str(caught.value) and "50 x 41 pixels, the picture has 50 x 40" in str(caught.value)
    assert "s2" in str(caught.value) and "reaches from 30.0, 30.0 to 70.0, 35.0" in str(caught.value)
    (folder / "predictions.jsonl").write_text((folder / "predictions.jsonl").read_text() * 2)
    with pytest.raises(PredictionError, match="duplicate id"):
        push(client, workspace, folder, project)
    assert not [one for one in client.projects.list(title=project) if one.title == project]


def test_other_findings_under_the_same_version_are_refused(client, workspace, project, films):
    push(client, workspace, films(SIZES[:1]), project)
    with pytest.raises(LabelStudioError, match="--model_version"):
        push(client, workspace, films(SIZES[:1]), project, shape="box")
    assert push(client, workspace, films(SIZES[:1]), project, shape="box", model_version="boxes").new_predictions == 1


def test_the_last_digits_of_a_probability_make_no_other_finding(client, workspace, project, films):
    folder = films(SIZES[:1])
    push(client, workspace, folder, project)
    lines = (folder / "predictions.jsonl").read_text()
    (folder / "predictions.jsonl").write_text(lines.replace('"probability": 0.9,', '"probability": 0.90001,'))
    assert push(client, workspace, folder, project).new_predictions == 0
    (folder / "predictions.jsonl").write_text(lines.replace('"probability": 0.9,', '"probability": 0.8,'))
    with pytest.raises(LabelStudioError, match="with other findings"):
        push(client, workspace, folder, project)


def test_identifiers_do_not_leave(workspace, server, project, films):
    folder = films(SIZES)
    with FaultyProxy(server) as proxy:
        push(connect(workspace, proxy.url), workspace, folder, project, datalist=folder / "datalist.json")
    sent = b"".join(path.encode() + body for _, path, body in proxy.requests)
    assert b"case-" in sent and b"round mass" in sent
    assert not any(secret in sent for secret in (b"study 0", b'"p0"', b"film0", str(folder).encode()))


def test_least_confident_first_with_a_random_share(client, workspace, project, films):
    push(client, workspace, films([(40, 50)] * 20), project, random_share=0.5)
    found = next(one for one in client.projects.list(title=project) if one.title == project)
    assert found.sampling == "Uncertainty sampling"
    kept = {path.stem: workspace.read_case(project, path.stem) for path in workspace.cases(project).iterdir()}
    scores = {task.data["case_id"]: task.predictions[0].score for task in client.tasks.list(project=found.id)}
    true = {case: (int(one["case_id"].split()[1]) + 1) / 21 for case, one in kept.items()}
    drawn = {case for case, one in kept.items() if one["drawn"] == "random"}
    assert len(drawn) == 10 and all(scores[case] == pytest.approx(true[case]) for case in scores.keys() - drawn)
    assert sum(scores[case] != pytest.approx(true[case]) for case in drawn) > 5


def test_a_report_that_comes_with_a_later_push_is_shown(client, workspace, project, films):
    folder = films(SIZES[:1])
    push(client, workspace, folder, project)
    push(client, workspace, folder, project, datalist=folder / "datalist.json")
    found = next(one for one in client.projects.list(title=project) if one.title == project)
    (task,) = client.tasks.list(project=found.id)
    assert task.data["report"].startswith("A round mass is seen") and task.total_predictions == 1


@pytest.mark.parametrize("keep_phi", [False, True])
def test_reports_lose_names_unless_they_are_to_be_kept(keep_phi, client, workspace, server, project, films, tmp_path, caplog):
    folder = films(SIZES[:1])
    datalist = json.loads((folder / "datalist.json").read_text())
    report = "Name: Jane Roe. Seen on 2024-03-05, case PAT-77. A round mass is seen."
    datalist["training"][0] |= {"report": report, "patient_id": "PAT-77"}
    (folder / "datalist.json").write_text(json.dumps(datalist))
    with FaultyProxy(server) as proxy:
        link = connect(workspace, proxy.url)
        push(link, workspace, folder, project, datalist=folder / "datalist.json", keep_phi=keep_phi)
    sent = b"".join(path.encode() + body for _, path, body in proxy.requests)
    assert b"A round mass is seen." in sent
    assert [secret in sent for secret in (b"Jane Roe", b"2024-03-05", b"PAT-77")] == [keep_phi] * 3
    assert ("sent as they are" in caplog.text) == keep_phi


@pytest.mark.slow
def test_a_thousand_tasks_through_a_bad_line(client, workspace, server, project, films, monkeypatch):
    monkeypatch.setattr(pushing, "BATCH_TASKS", 250)
    with FaultyProxy(server, once("POST", "/import", LOSE_ANSWER, at=3)) as proxy:
        push(connect(workspace, proxy.url), workspace, films([(40, 50)] * 1000), project)
    assert_each_once(client, project, 1000)
