"""Volumes through a real server and back: masks, answers, datalist, DICOM SEG."""

import json
import sys

import nibabel as nib
import numpy as np
import pytest
from pydicom import dcmread

from integrations.dicom.errors import DicomError
from integrations.label_studio.answers.results import brush_item, choices_item
from integrations.label_studio.pages import volume as ct
from integrations.label_studio.pull import pull
from integrations.label_studio.push import push
from scripts.datalists.datalist import check_datalist, load_datalist, save_datalist
from scripts.datalists.listing.volume import volume_records
from tests.integrations.label_studio.test_round_trip import reviews_in, submit, tasks_of
from tests.integrations.volumes import lesion, oriented, write_predictions, write_series, write_volume

AXES = {"LPS": "LPS", "RAS": "RAS", "oblique": "LPS", "series": "LPS"}


@pytest.fixture
def scans(tmp_path):
    """Writes volumes with predictions and a datalist: upright in two orders of axes, oblique, and a DICOM series."""

    def write(*names, reports=True):
        made = {
            "LPS": lambda: write_volume(tmp_path / "LPS.nii.gz", "LPS"),
            "RAS": lambda: write_volume(tmp_path / "RAS.nii.gz", "RAS"),
            "oblique": lambda: write_volume(tmp_path / "oblique.nii.gz", "LPS", turn=17.0),
            "series": lambda: write_series(tmp_path / "series", turn=-8.0),
        }
        volumes = {name: made[name]() for name in names}
        folder = tmp_path / "predictions"
        # Each of one order of axes: the writer is told how masks are stored.
        orders = {AXES[name] for name in names}
        assert len(orders) == 1
        write_predictions(folder, volumes, orders.pop())
        records = [
            {"volume_id": name, "patient_id": f"patient {name}", **record} | ({"report": "A nodule."} if reports else {})
            for name, record in volumes.items()
        ]
        if reports:
            save_datalist(folder / "datalist.json", "ct", {"training": records})
        return folder

    return write


def masks_of(folder, line):
    return nib.load(folder / line["after"]["mask"])


@pytest.mark.parametrize("names", [("LPS", "oblique", "series"), ("RAS",)])
def test_volumes_submitted_unedited_come_back_voxel_by_voxel(names, scans, client, workspace, project, tmp_path):
    folder = scans(*names)
    done = push(client, workspace, folder, project, datalist=folder / "datalist.json")
    assert (done.new_tasks, done.new_predictions) == (len(names), len(names))
    again = push(client, workspace, folder, project, datalist=folder / "datalist.json")
    assert (again.new_tasks, again.new_predictions) == (0, 0)
    for task in tasks_of(client, project):
        submit(client, task)
    pulled = pull(client, workspace, project, tmp_path / "out")
    assert pulled.actions == {"accepted": 3 * len(names)} and pulled.without_report == 0
    datalist = tmp_path / "out" / "datalist.json"
    assert check_datalist(datalist, progress=False) == []
    records = {record["volume_id"]: record for record in load_datalist(datalist).split("training")}
    lines = {line["case_id"]: line for line in reviews_in(tmp_path / "out") if line["label"] == "Lung nodule"}
    for number, name in enumerate(names):
        record, line = records[name], lines[name]
        assert record["labels"] == {"Lung nodule": 1, "Cardiomegaly": 0, "Pericardial effusion": 0}
        assert record["patient_id"] == f"patient {name}" and record["report"] == "A nodule."
        assert (line["action"], line["after"]["choice"], line["before"]["probability"]) == ("accepted", "present", 0.81)
        mask = masks_of(tmp_path / "out", line)
        assert np.array_equal(np.asarray(mask.dataobj), oriented(lesion(number), np.eye(4), AXES[name])[0])
        outlined = nib.load(record["anatomy_mask"])
        assert mask.shape == outlined.shape and np.abs(mask.affine - outlined.affine).max() < 1e-4
    taken = volume_records(datalist, "ct")
    assert {record["volume_id"] for record in taken} == set(names) and all(record["anatomy_mask"] for record in taken)


def test_what_the_expert_changes_on_slices_comes_back_changed(scans, client, workspace, project, tmp_path):
    push(client, workspace, scans("RAS", reports=False), project)
    (task,) = tasks_of(client, project)
    kept = workspace.read_case(project, task["data"]["case_id"])
    pictures = ct.Pictures.from_json(kept["volume"])
    effusion = oriented(lesion(4), np.eye(4), "RAS")[0]
    gone = []

    def change(items):
        first = next(item for item in items if item["type"] == "brushlabels")
        gone.append(pictures.shown[first["item_index"]][1])
        answers = {ct.control_of("Pericardial effusion"), ct.control_of("Cardiomegaly")}
        left = [item for item in items if item["id"] != first["id"] and item["id"] not in answers]
        name = "Pericardial effusion"
        drawn = [
            brush_item(picture, name, region=f"byHand{index}", image_index=pictures.number_of(name, "bone", index))
            for index in pictures.series.slices
            if (picture := pictures.series.picture_of(effusion, index)).any()
        ]
        answers = {"Pericardial effusion": "present", "Cardiomegaly": "uncertain"}
        return left + drawn + [choices_item(ct.control_of(name), [answer]) for name, answer in answers.items()]

    submit(client, task, change)
    pull(client, workspace, project, tmp_path / "out")
    lines = {line["label"]: line for line in reviews_in(tmp_path / "out")}
    actions = {label: line["action"] for label, line in lines.items()}
    assert actions == {"Lung nodule": "edited", "Cardiomegaly": "edited", "Pericardial effusion": "added"}
    wanted = lesion(0)
    wanted[:, :, gone] = False
    assert np.array_equal(np.asarray(masks_of(tmp_path / "out", lines["Lung nodule"]).dataobj), wanted)
    assert np.array_equal(np.asarray(masks_of(tmp_path / "out", lines["Pericardial effusion"]).dataobj), effusion)
    assert lines["Cardiomegaly"]["after"] == {"box": None, "mask": None, "choice": "uncertain"}
    assert check_datalist(tmp_path / "out" / "datalist.json", progress=False) == []
    (record,) = load_datalist(tmp_path / "out" / "datalist.json").split("training")
    assert record["labels"] == {"Lung nodule": 1, "Pericardial effusion": 1} and "report" not in record


def test_a_review_that_says_nothing_makes_no_record(scans, client, workspace, project, tmp_path):
    push(client, workspace, scans("LPS", reports=False), project)
    (task,) = tasks_of(client, project)
    submit(client, task, lambda items: [])
    pulled = pull(client, workspace, project, tmp_path / "out")
    assert pulled.without_report == 1 and pulled.actions == {"rejected": 1, "edited": 2}
    assert not (tmp_path / "out" / "datalist.json").exists()


def test_dicom_segmentations_are_written_of_dicom_volumes(scans, client, workspace, project, tmp_path, caplog):
    pytest.importorskip("highdicom")
    folder = scans("series", "LPS")
    push(client, workspace, folder, project, datalist=folder / "datalist.json")
    for task in tasks_of(client, project):
        submit(client, task)
    pull(client, workspace, project, tmp_path / "out", dicom_seg=True)
    (file,) = (tmp_path / "out" / "segmentations").iterdir()
    header, scan = dcmread(file), dcmread(next((tmp_path / "series").iterdir()))
    assert (header.Modality, header.FrameOfReferenceUID) == ("SEG", scan.FrameOfReferenceUID)
    assert header.pixel_array.sum() == lesion(0).sum() and header.SegmentSequence[0].SegmentLabel == "Lung nodule"
    assert "1 volumes are NIfTI" in caplog.text


def test_without_highdicom_a_pull_of_segmentations_says_what_to_do(scans, client, workspace, project, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "highdicom", None)
    push(client, workspace, scans("series", reports=False), project)
    (task,) = tasks_of(client, project)
    submit(client, task)
    with pytest.raises(DicomError, match="pip install highdicom"):
        pull(client, workspace, project, tmp_path / "out", dicom_seg=True)


def test_what_stays_here_of_a_volume_is_enough_for_the_way_back(scans, client, workspace, project, tmp_path):
    """The pictures and the predictions may be gone: what the working folder keeps of the case is JSON."""
    folder = scans("oblique", reports=False)
    push(client, workspace, folder, project)
    (task,) = tasks_of(client, project)
    submit(client, task)
    for file in (*(workspace.images / project).rglob("*.png"), *folder.rglob("*.nii.gz")):
        file.unlink()
    kept = workspace.read_case(project, task["data"]["case_id"])
    assert json.loads(json.dumps(kept)) == kept
    pull(client, workspace, project, tmp_path / "out")
    line = next(line for line in reviews_in(tmp_path / "out") if line["label"] == "Lung nodule")
    assert np.array_equal(np.asarray(masks_of(tmp_path / "out", line).dataobj), oriented(lesion(0), np.eye(4), "LPS")[0])
