"""Push, review through the API as the page reviews, pull: against a real server."""

import copy
import json

import cv2
import numpy as np
import pytest

from integrations.label_studio.answers.results import box_of, rectangle_item
from integrations.label_studio.errors import LabelStudioError
from integrations.label_studio.pull import pull
from integrations.label_studio.push import push
from scripts.datalists.datalist import check_datalist, load_datalist
from scripts.predictions.masks import read_mask
from tests.integrations.conftest import MODEL, blob, box_around

SIZES = [(101, 97), (64, 200), (333, 127)]


def tasks_of(client, project) -> list[dict]:
    found = next(one for one in client.projects.list(title=project) if one.title == project)
    return [task.dict() for task in client.tasks.list(project=found.id, fields="all")]


def submit(client, task, change=lambda items: items) -> None:
    """Submit a task's shown prediction as the page does: items keep their ids, and say where they come from."""
    prediction = task["predictions"][-1]
    items = [
        item if item["type"] == "relation" else item | {"origin": "prediction"} for item in copy.deepcopy(prediction["result"])
    ]
    client.annotations.create(id=task["id"], result=change(items), parent_prediction=prediction["id"], lead_time=7.5)


def reviews_in(folder) -> list[dict]:
    return [json.loads(line) for line in (folder / "reviews.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("shape", ["mask", "box", "polygon"])
def test_films_submitted_unedited_come_back_as_they_went(shape, client, workspace, project, films, tmp_path):
    folder = films(SIZES)
    done = push(client, workspace, folder, project, datalist=folder / "datalist.json", shape=shape)
    assert (done.cases, done.new_tasks, done.new_predictions) == (3, 3, 3)
    for task in tasks_of(client, project):
        submit(client, task)
    pulled = pull(client, workspace, project, tmp_path / "out")
    assert pulled.cases == 3 and set(pulled.actions) == {"accepted"}
    assert check_datalist(tmp_path / "out" / "datalist.json", progress=False) == []
    records = {record["study_id"]: record for record in load_datalist(tmp_path / "out" / "datalist.json").split("training")}
    for number, (height, width) in enumerate(SIZES):
        record, mask = records[f"study {number}"], blob(height, width, number)
        assert record["patient_id"] == f"p{number}" and record["labels"] == {"Mass": 1, "Effusion": 0}
        assert record["report"] == f"A round mass is seen, number {number}. No effusion."
        (finding,) = record["findings"]
        assert finding["label"] == "Mass" and finding["text"] == "round mass"
        if shape == "mask":
            assert np.array_equal(read_mask(finding["mask"]), mask)
        elif shape == "box":
            assert np.abs(np.subtract(finding["boxes"], [box_around(mask)])).max() <= 0.5
        else:
            back = read_mask(finding["mask"])
            assert (back & mask).sum() / (back | mask).sum() > 0.97
    line = next(line for line in reviews_in(tmp_path / "out") if line["label"] == "Mass" and line["image_index"] == 0)
    assert line["action"] == "accepted" and line["seconds"] == 7.5 and line["model_version"] == "test_bundle 0.1.0 (aaaaaaaa)"
    assert line["before"]["probability"] == 0.9 and line["reviewer"].startswith("expert@")


def test_what_the_expert_changes_comes_back_changed(client, workspace, project, films, tmp_path):
    push(client, workspace, films([(80, 90)]), project, shape="box")
    (task,) = tasks_of(client, project)

    def change(items):
        mass = next(item for item in items if item["id"] == "finding-0")
        mass["value"]["x"] += 5
        mass["origin"] = "prediction-changed"
        ticked = next(item for item in items if item["type"] == "choices")
        ticked["value"]["choices"] = ["Effusion"]
        return [mass, ticked, rectangle_item([3, 4, 20, 10], (90, 80), "Effusion", region="drawnByHand")]

    submit(client, task, change)
    pull(client, workspace, project, tmp_path / "out")
    lines = {(line["label"], line["image_index"]): line for line in reviews_in(tmp_path / "out")}
    assert {key: line["action"] for key, line in lines.items()} == {
        ("Mass", 0): "edited",
        ("Effusion", 0): "added",
        ("Mass", None): "rejected",
        ("Effusion", None): "added",
    }
    shift = np.subtract(lines["Mass", 0]["after"]["box"], lines["Mass", 0]["before"]["box"])
    assert shift[0] > 2 or lines["Mass", 0]["after"]["box"][2] < lines["Mass", 0]["before"]["box"][2]
    assert lines["Effusion", 0]["before"] is None and np.allclose(lines["Effusion", 0]["after"]["box"], [3, 4, 20, 10])
    assert lines["Mass", None]["after"]["choice"] == "absent" and lines["Effusion", None]["after"]["choice"] == "present"
    (record,) = load_datalist(tmp_path / "out" / "datalist.json").split("training")
    assert record["labels"] == {"Mass": 1, "Effusion": 1} and len(record["findings"]) == 2


def test_a_deleted_region_is_a_rejected_finding(client, workspace, project, films, tmp_path):
    push(client, workspace, films([(80, 90)]), project)
    (task,) = tasks_of(client, project)
    submit(client, task, lambda items: [])
    pull(client, workspace, project, tmp_path / "out")
    lines = reviews_in(tmp_path / "out")
    assert {line["action"] for line in lines if line["label"] == "Mass"} == {"rejected"}
    place = next(line for line in lines if line["label"] == "Mass" and line["before"]["mask"])
    assert place["after"] is None and np.array_equal(read_mask(tmp_path / "out" / place["before"]["mask"]), blob(80, 90, 0))
    (record,) = load_datalist(tmp_path / "out" / "datalist.json").split("training")
    assert record["labels"] == {"Mass": 0, "Effusion": 0} and record["findings"] == []


def test_exams_keep_images_regions_and_diagnosis(client, workspace, project, exams, tmp_path):
    folder = exams(2)
    push(client, workspace, folder, project, datalist=folder / "datalist.json")
    first, second = sorted(tasks_of(client, project), key=lambda task: task["data"]["case_id"])
    assert len(first["data"]["images"]) == 3 and first["data"]["attention"].startswith("Look first at image 2 (NPC 0.70)")
    assert {item["item_index"] for item in first["predictions"][0]["result"] if item["type"] == "brushlabels"} == {1, 2}
    submit(client, first)

    def to_benign(items):
        next(item for item in items if item["type"] == "choices")["value"]["choices"] = ["BH"]
        return items

    submit(client, second, to_benign)
    pulled = pull(client, workspace, project, tmp_path / "out")
    assert pulled.actions == {"accepted": 5, "edited": 1}
    assert check_datalist(tmp_path / "out" / "datalist.json", progress=False) == []
    records = load_datalist(tmp_path / "out" / "datalist.json").split("training")
    assert sorted(record["label"] for record in records) == ["BH", "NPC"]
    for record in records:
        number = int(record["exam_id"].split()[1])
        for finding, (index, size) in zip(record["findings"], {1: (120, 97), 2: (75, 75)}.items(), strict=True):
            assert finding["image_index"] == index and np.array_equal(read_mask(finding["mask"]), blob(*size, number))


def test_exams_without_report_are_told_and_not_written(client, workspace, project, exams, tmp_path):
    push(client, workspace, exams(1), project)
    (task,) = tasks_of(client, project)
    submit(client, task)
    assert pull(client, workspace, project, tmp_path / "out").without_report == 1
    assert not (tmp_path / "out" / "datalist.json").exists() and reviews_in(tmp_path / "out")


def test_the_latest_of_two_reviews_is_the_record(client, workspace, project, films, tmp_path):
    push(client, workspace, films([(80, 90)]), project, reviews_per_case=2)
    (task,) = tasks_of(client, project)
    submit(client, task)
    submit(client, task, lambda items: [item for item in items if item["type"] == "choices"])
    pulled = pull(client, workspace, project, tmp_path / "out")
    assert (pulled.cases, pulled.reviews) == (1, 2)
    (record,) = load_datalist(tmp_path / "out" / "datalist.json").split("training")
    assert record["labels"]["Mass"] == 1 and record["findings"] == []


def test_a_large_mask_is_exact(client, workspace, project, films, tmp_path):
    push(client, workspace, films([(3000, 3000)]), project)
    (task,) = tasks_of(client, project)
    submit(client, task)
    pull(client, workspace, project, tmp_path / "out")
    (record,) = load_datalist(tmp_path / "out" / "datalist.json").split("training")
    assert np.array_equal(read_mask(record["findings"][0]["mask"]), blob(3000, 3000, 0))


def test_nothing_to_pull_is_told(client, workspace, project, films, tmp_path):
    with pytest.raises(LabelStudioError, match="is not on this server"):
        pull(client, workspace, project, tmp_path / "out")
    push(client, workspace, films([(80, 90)]), project)
    with pytest.raises(LabelStudioError, match="nothing is reviewed"):
        pull(client, workspace, project, tmp_path / "out")


def test_the_sentence_is_linked_to_its_region_and_names_stay_here(client, workspace, project, films):
    folder = films([(80, 90)])
    push(client, workspace, folder, project, datalist=folder / "datalist.json")
    (task,) = tasks_of(client, project)
    items = {item.get("id"): item for item in task["predictions"][0]["result"]}
    value = items["sentence-0"]["value"]
    assert task["data"]["report"][value["start"] : value["end"]] == value["text"] and "round mass" in value["text"]
    (arrow,) = [item for item in task["predictions"][0]["result"] if item["type"] == "relation"]
    assert (arrow["from_id"], arrow["to_id"]) == ("sentence-0", "finding-0")
    assert "study" not in json.dumps(task["data"]) and box_of(items["finding-0"])[2] > 0


def test_the_picture_can_be_seen(client, workspace, server, project, films):
    import httpx

    push(client, workspace, films([(101, 97)]), project)
    (task,) = tasks_of(client, project)
    headers = {"Authorization": f"Token {workspace.make_token()}"}
    answer = httpx.get(server + task["data"]["image"], headers=headers)
    assert cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_UNCHANGED).shape[:2] == (101, 97)
    assert httpx.get(server + task["data"]["image"]).status_code in (401, 403)


def test_models_side_by_side(client, workspace, project, films):
    push(client, workspace, films([(80, 90)]), project)
    other = push(client, workspace, films([(80, 90)], model=MODEL | {"checkpoint_sha256": "b" * 64}, name="other", seed=5), project)
    assert (other.new_tasks, other.new_predictions) == (0, 1)
    (task,) = tasks_of(client, project)
    assert [p["model_version"] for p in task["predictions"]] == ["test_bundle 0.1.0 (aaaaaaaa)", "test_bundle 0.1.0 (bbbbbbbb)"]
    found = next(one for one in client.projects.list(title=project) if one.title == project)
    assert found.model_version == "test_bundle 0.1.0 (bbbbbbbb)"
