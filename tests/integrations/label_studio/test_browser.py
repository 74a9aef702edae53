"""An expert's page in a real browser: what was pushed, submitted there and pulled is what was pushed."""

import os
import shutil
from collections.abc import Iterator
from urllib.parse import urlsplit

import numpy as np
import pytest
from playwright.sync_api import Page, sync_playwright

from integrations.label_studio.pull import pull
from integrations.label_studio.push import push
from integrations.label_studio.server.process import USER, password_of
from scripts.datalists.datalist import load_datalist
from scripts.predictions.masks import read_mask
from tests.integrations.conftest import blob, box_around

SIZES = [(501, 397), (257, 300)]
PATIENCE = 180_000
"""Milliseconds: a busy machine's browser takes its time."""
READY = """task => {
    const pictures = [...document.querySelectorAll('img[src^="blob:"]')];
    const regions = window.Htx?.annotationStore?.selected?.areas?.size;
    return window.Htx?.task?.id !== task && regions > 0 && pictures.some(picture => picture.naturalWidth > 0);
}"""
"""Another task than the last one, with its regions and its picture."""


@pytest.fixture
def page(workspace, server) -> Iterator[Page]:
    """A page of a user who has logged in; any request to another host fails the test."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        reason = "no Chromium on this machine: apt-get install chromium"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    hosts = set()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        opened = browser.new_page(viewport={"width": 1500, "height": 1000})
        opened.set_default_timeout(PATIENCE)
        opened.on("request", lambda request: hosts.add(urlsplit(request.url).hostname))
        opened.goto(f"{server}/user/login")
        opened.fill("input[name=email]", USER)
        opened.fill("input[name=password]", password_of(workspace))
        opened.click("button[type=submit]")
        opened.wait_for_load_state()
        yield opened
        browser.close()
    assert hosts - {None} == {"127.0.0.1"}


def submit_all(page: Page, server: str, project_id: int, count: int, button: bool = False) -> list[int]:
    """Submit as many tasks as the page serves, its address or its button opened; their ids in its order."""
    page.goto(f"{server}/projects/{project_id}/data" + ("" if button else "?labeling=1"))
    if button:
        page.get_by_role("button", name="Label All Tasks").click()
    served: list[int] = []
    for _ in range(count):
        page.wait_for_function(READY, arg=served[-1] if served else None)
        served.append(page.evaluate("window.Htx.task.id"))
        with page.expect_response(lambda answer: "/annotations" in answer.url and answer.request.method == "POST") as answer:
            page.get_by_test_id("bottombar-submit-button").click()
        assert answer.value.status == 201
    return served


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["mask", "box"])
def test_films_submitted_in_the_page_come_back_exactly(shape, page, client, workspace, server, project, films, tmp_path):
    folder = films(SIZES)
    done = push(client, workspace, folder, project, datalist=folder / "datalist.json", shape=shape)
    served = submit_all(page, server, done.project_id, len(SIZES), button=shape == "box")
    cases = {task.id: task.data["case_id"] for task in client.tasks.list(project=done.project_id, fields="task_only")}
    order = [workspace.read_case(project, cases[task])["case_id"] for task in served]
    assert order == ["study 0", "study 1"], "the least confident case comes first"
    pulled = pull(client, workspace, project, tmp_path / "out")
    assert pulled.cases == 2 and set(pulled.actions) == {"accepted"}
    for record in load_datalist(tmp_path / "out" / "datalist.json").split("training"):
        number = int(record["study_id"].split()[1])
        mask, (finding,) = blob(*SIZES[number], number), record["findings"]
        if shape == "mask":
            assert np.array_equal(read_mask(finding["mask"]), mask)
        else:
            assert np.abs(np.subtract(finding["boxes"], [box_around(mask)])).max() <= 0.5


@pytest.mark.slow
def test_exams_submitted_in_the_page_come_back_exactly(page, client, workspace, server, project, exams, tmp_path):
    folder = exams(1)
    done = push(client, workspace, folder, project, datalist=folder / "datalist.json")
    submit_all(page, server, done.project_id, 1)
    assert set(pull(client, workspace, project, tmp_path / "out").actions) == {"accepted"}
    (record,) = load_datalist(tmp_path / "out" / "datalist.json").split("training")
    assert record["label"] == "NPC" and [finding["image_index"] for finding in record["findings"]] == [1, 2]
    for finding, size in zip(record["findings"], [(120, 97), (75, 75)], strict=True):
        assert np.array_equal(read_mask(finding["mask"]), blob(*size, 0))


@pytest.mark.slow
def test_a_region_deleted_in_the_page_is_rejected(page, client, workspace, server, project, films, tmp_path):
    done = push(client, workspace, films(SIZES[:1]), project)
    page.goto(f"{server}/projects/{done.project_id}/data?labeling=1")
    page.wait_for_function(READY, arg=None)
    page.evaluate("window.Htx.annotationStore.selected.regions.find(region => region.type === 'brushregion').deleteRegion()")
    with page.expect_response(lambda answer: "/annotations" in answer.url and answer.request.method == "POST"):
        page.get_by_test_id("bottombar-submit-button").click()
    assert pull(client, workspace, project, tmp_path / "out").actions == {"rejected": 1, "accepted": 2}
