"""Words typed into the page of a real Label Studio: the backend finds them, and the region appears."""

import subprocess
import sys

import numpy as np
import psutil
import pytest
import requests

from integrations.label_studio.pull import pull
from integrations.label_studio.push import push
from scripts.datalists.datalist import load_datalist
from scripts.phantoms.cxr import write_phantoms
from scripts.predictions.masks import read_mask
from tests.bundles.commands import Bundle
from tests.integrations.conftest import free_port
from tests.integrations.label_studio.test_browser import page  # noqa: F401 - the page is a fixture

CXR = Bundle("cxr_localization")
WEIGHTS = ["--checkpoint", CXR.folder / "models" / "phantom" / "model.pt"]


@pytest.fixture
def films(tmp_path):
    """Predictions of phantom films by the weights that ship, and the films' datalist."""
    write_phantoms(tmp_path / "phantoms", training=0, validation=0, test=6, seed=4, workers=1)
    films = tmp_path / "phantoms" / "datalist.json"
    CXR.run(["inference", "phantom"], "--films", films, *WEIGHTS, "--output_dir", tmp_path / "predictions")
    return tmp_path / "predictions", films


@pytest.fixture
def backend(films, workspace, server, client, project):
    """The command itself, connected with a pushed project; its address."""
    done = push(client, workspace, films[0], project, datalist=films[1])
    port = free_port()
    command = [sys.executable, "-m", "integrations.label_studio", "backend", str(CXR.folder), "--project", project]
    command += ["--overlays", "phantom", "--port", str(port), "--data", str(workspace.folder), "--url", server, *map(str, WEIGHTS)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        said = process.stdout.readline()
        assert "password in" in said, said
        listening = {one.laddr.ip for one in psutil.Process(process.pid).net_connections("tcp") if one.status == psutil.CONN_LISTEN}
        assert listening == {"127.0.0.1"}
        yield f"http://127.0.0.1:{port}", done.project_id
    finally:
        process.terminate()
        process.wait(30)


@pytest.mark.slow
def test_phrases_typed_into_the_page_become_regions_and_come_back(
    page,  # noqa: F811
    backend,
    films,
    client,
    workspace,
    server,
    project,
    tmp_path,
):
    address, project_id = backend
    assert requests.post(f"{address}/predict", json={"tasks": []}, timeout=30).status_code == 401
    (connected,) = client.ml.list(project=project_id)
    assert connected.is_interactive and connected.url == address
    page.goto(f"{server}/projects/{project_id}/data?labeling=1")
    page.wait_for_function("window.Htx?.task?.id !== undefined")
    page.get_by_text("Auto-Annotation").click()
    for words in ("basal consolidation", "left basal atelectasis"):
        page.locator("[name=phrase]").fill(words)
        page.get_by_role("button", name="Add").click()
        page.get_by_test_id("bottombar-accept-suggestions-button").click()
    regions = page.evaluate("window.Htx.annotationStore.selected.regions.filter(region => region.type === 'brushregion').length")
    assert regions >= 2
    with page.expect_response(lambda answer: "/annotations" in answer.url and answer.request.method == "POST") as answer:
        page.get_by_test_id("bottombar-submit-button").click()
    assert answer.value.status == 201
    pull(client, workspace, project, tmp_path / "out")
    (record,) = load_datalist(tmp_path / "out" / "datalist.json").split("test")
    truth = next(one for one in load_datalist(films[1]).split("test") if one["study_id"] == record["study_id"])
    found = {finding["text"]: finding for finding in record["findings"]}
    # The project has a label for one of them; the other goes by its words.
    assert found["basal consolidation"]["label"] == "consolidation"
    assert found["left basal atelectasis"]["label"] == "left basal atelectasis"
    seen = read_mask(found["left basal atelectasis"]["mask"])
    lesion = np.any([read_mask(finding["mask"]) for finding in truth["findings"]], axis=0)
    assert lesion[seen].mean() > 3 * lesion.mean()
