"""A volume in an expert's browser: what the page opens on, and that a submit brings back every voxel."""

import re

import nibabel as nib
import numpy as np
import pytest

from integrations.label_studio.pages import volume as ct
from integrations.label_studio.pull import pull
from integrations.label_studio.push import push
from tests.integrations.label_studio.test_browser import READY, page, submit_all  # noqa: F401 - the page is a fixture
from tests.integrations.label_studio.test_round_trip import reviews_in
from tests.integrations.volumes import lesion, oriented, write_predictions, write_volume

SHOWN = """() => {
    const image = window.Htx.annotationStore.selected.names.get('image');
    return [image.currentImage, window.Htx.task.dataObj.images.length, image.naturalWidth, image.naturalHeight];
}"""
"""Which picture the page shows, of how many, and its size."""
CHOSEN = "name => window.Htx.annotationStore.selected.names.get(name).selectedValues()"


@pytest.fixture
def scan(tmp_path):
    record = write_volume(tmp_path / "scan.nii.gz", "RAS", turn=15.0)
    write_predictions(tmp_path / "predictions", {"scan": record}, "RAS")
    return tmp_path / "predictions"


@pytest.mark.slow
def test_a_volume_submitted_in_the_page_comes_back_voxel_by_voxel(
    page,  # noqa: F811
    scan,
    client,
    workspace,
    server,
    project,
    tmp_path,
):
    done = push(client, workspace, scan, project)
    page.goto(f"{server}/projects/{done.project_id}/data?labeling=1")
    page.wait_for_function(READY, arg=None)
    (task,) = client.tasks.list(project=done.project_id, fields="all")
    pictures = ct.Pictures.from_json(workspace.read_case(project, task.data["case_id"])["volume"])
    series = pictures.series
    assert page.evaluate(SHOWN) == [0, len(pictures.shown), series.width, series.height], "the page opens on the key slice"
    assert page.evaluate(CHOSEN, ct.control_of("Lung nodule")) == ["present"]
    assert page.evaluate(CHOSEN, ct.control_of("Cardiomegaly")) == ["absent"]
    for words in ("Lung nodule", "0.81", "What the model says"):
        assert page.get_by_text(words, exact=True).first.is_visible()
    submit_all(page, server, done.project_id, 1)
    assert pull(client, workspace, project, tmp_path / "out").actions == {"accepted": 3}
    line = next(line for line in reviews_in(tmp_path / "out") if line["label"] == "Lung nodule")
    mask = nib.load(tmp_path / "out" / line["after"]["mask"])
    assert np.array_equal(np.asarray(mask.dataobj), oriented(lesion(0), np.eye(4), "RAS")[0])


@pytest.mark.slow
def test_an_answer_and_a_region_changed_in_the_page_come_back_changed(
    page,  # noqa: F811
    scan,
    client,
    workspace,
    server,
    project,
    tmp_path,
):
    done = push(client, workspace, scan, project)
    page.goto(f"{server}/projects/{done.project_id}/data?labeling=1")
    page.wait_for_function(READY, arg=None)
    page.evaluate("window.Htx.annotationStore.selected.regions.find(region => region.type === 'brushregion').deleteRegion()")
    page.get_by_text(re.compile("^present")).nth(1).click()  # the second finding's, with its hotkey behind
    assert page.evaluate(CHOSEN, ct.control_of("Cardiomegaly")) == ["present"]
    with page.expect_response(lambda answer: "/annotations" in answer.url and answer.request.method == "POST"):
        page.get_by_test_id("bottombar-submit-button").click()
    pull(client, workspace, project, tmp_path / "out")
    actions = {line["label"]: line["action"] for line in reviews_in(tmp_path / "out")}
    assert actions == {"Lung nodule": "edited", "Cardiomegaly": "added", "Pericardial effusion": "accepted"}
