"""A domain of the user's own, a folder outside the package: its page, its reviews, its datalist. No file knows its name."""

import json
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from integrations.label_studio.answers.answer import Answer, Labels
from integrations.label_studio.answers.results import choices_item, rectangle_item
from integrations.label_studio.backend.tasks import TaskQuestion
from integrations.label_studio.cases import case_inputs, prepare
from integrations.label_studio.errors import LabelStudioError
from integrations.label_studio.pages import page_of
from integrations.label_studio.pages.parts import labels_in
from integrations.label_studio.pages.validation import PredictionChecker
from integrations.label_studio.pull import pull
from integrations.label_studio.workspace import Workspace
from integrations.review.agreement import agreement_table
from integrations.review.record import read_reviews
from scripts.cases.domain import DOMAINS, DomainError, read_domain
from scripts.cases.finding import Finding
from scripts.datalists.datalist import check_datalist, load_datalist, save_datalist
from scripts.predictions.masks import read_mask
from scripts.predictions.predictions import PredictionWriter, read_predictions
from tests.integrations.conftest import MODEL, blob, box_around

NAME, ROOT = "dermoscopy_of_a_test", Path(__file__).resolve().parents[3]
HEIGHT, WIDTH = 80, 90


@pytest.fixture
def domain(tmp_path):
    """A folder with the files of a domain: colour images without a lit field of view."""
    folder = tmp_path / NAME
    shutil.copytree(DOMAINS / "cxr", folder)
    told = json.loads((folder / "domain.json").read_text())
    told |= {"title": "photographs", "colour": "rgb", "page": {"whole": "To be seen on this photograph"}}
    (folder / "domain.json").write_text(json.dumps(told))
    return read_domain(folder)


@pytest.fixture
def predicted(domain, tmp_path):
    """Predictions of two colour images and their datalist; gives the cases and the datalist."""
    records, folder = [], tmp_path / "predictions"
    with PredictionWriter(folder, domain, MODEL) as writer:
        for number in range(2):
            image, mask = tmp_path / f"photo{number}.png", blob(HEIGHT, WIDTH, number)
            cv2.imwrite(str(image), np.random.default_rng(number).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8))
            mass = Finding("Exudate", "hard exudate", None, 0.9, 0.6, 0, box=box_around(mask), mask=mask)
            writer.add(f"photo {number}", [image], [mass, Finding("Drusen", None, None, 0.1, 0.8, 0)])
            report = "A hard exudate is seen."
            records.append({"study_id": f"photo {number}", "patient_id": f"p{number}", "image": str(image), "report": report})
    save_datalist(folder / "datalist.json", domain, {"training": records})
    return read_predictions(folder), load_datalist(folder / "datalist.json")


def prepared_from(workspace, predicted):
    about = {"version": "v", "shape": "mask", "random_share": 0, "keep_phi": False}
    return prepare(workspace, "photos", case_inputs(*predicted), **about)


def test_its_page_draws_what_the_model_says_in_colour(domain, predicted, tmp_path):
    workspace, page = Workspace(tmp_path / "work"), page_of(domain)
    xml = page.configuration(page.labels_of(predicted[0]))
    assert 'value="To be seen on this photograph"' in xml and labels_in(xml) == Labels(("Exudate", "Drusen"), ("Exudate", "Drusen"))
    for one, case in zip(prepared_from(workspace, predicted), predicted[0], strict=True):
        assert PredictionChecker(xml).faults(one.prediction, one.sizes, one.data["report"]) == []
        kinds = [item["type"] for item in one.prediction["result"]]
        assert kinds == ["brushlabels", "labels", "relation", "choices"] and one.sizes == [(WIDTH, HEIGHT)]
        assert one.data["domain"] == NAME and str(tmp_path) not in json.dumps(one.data), "where the folder lies is told to nobody"
        shown = cv2.imread(str(workspace.images / one.kept["pictures"][0]["file"]))
        assert np.array_equal(shown, cv2.imread(one.kept["images"][0])), "all of an image without a lit field of view is shown"
        assert one.kept["domain"] == str(domain.folder) == case["domain"]


def test_what_is_ticked_on_an_empty_page_is_added(domain):
    answer = Answer([choices_item("findings", ["Exudate"])])
    assert [(one.label, one.action, one.choice) for one in page_of(domain).judgements(answer)] == [("Exudate", "added", "present")]
    with pytest.raises(DomainError, match="known: ct, cxr, nasal"):
        page_of(NAME)


def test_the_backend_asks_for_its_image_and_refuses_another_domains(domain, predicted, tmp_path):
    workspace = Workspace(tmp_path / "work")
    one = prepared_from(workspace, predicted)[0]
    workspace.save_case("photos", one.data["case_id"], one.kept)
    question = TaskQuestion(workspace, one.data, "", domain, "hard exudate")
    assert question.record == {"image": one.kept["images"][0], "phrases": ["hard exudate"]}
    with pytest.raises(LabelStudioError, match=f"is for cxr, the task is of {NAME}"):
        TaskQuestion(workspace, one.data, "", read_domain("cxr"), None)


def server_with(workspace, prepared, xml, change) -> SimpleNamespace:
    """In a server's place: one task a case, whose prediction an expert has submitted, changed."""
    tasks = []
    for number, one in enumerate(prepared, 1):
        workspace.save_case("photos", one.data["case_id"], one.kept)
        prediction = one.prediction | {"id": number}
        annotation = {"id": number, "result": change(prediction["result"]), "parent_prediction": number, "completed_by": 1}
        annotation |= {"updated_at": "2026-02-01", "lead_time": 7}
        tasks.append({"id": number, "data": one.data, "predictions": [prediction], "annotations": [annotation]})
    listed = SimpleNamespace(list=lambda **_: [SimpleNamespace(dict=lambda task=task: task) for task in tasks])
    project = SimpleNamespace(id=1, title="photos", label_config=xml)
    people = SimpleNamespace(list=lambda: [SimpleNamespace(id=1, email="ann@hospital")])
    return SimpleNamespace(projects=SimpleNamespace(list=lambda **_: [project]), users=people, tasks=listed)


def test_its_reviews_come_back_as_its_own_datalist(domain, predicted, tmp_path):
    workspace, page, out = Workspace(tmp_path / "work"), page_of(domain), tmp_path / "out"

    def change(items):
        kept = [item for item in items if item["type"] != "choices"]
        box = rectangle_item([3, 4, 20, 10], (WIDTH, HEIGHT), "Drusen", region="drawnByHand")
        return [*kept, box, choices_item("findings", ["Exudate", "Drusen"])]

    xml = page.configuration(page.labels_of(predicted[0]))
    client = server_with(workspace, prepared_from(workspace, predicted), xml, change)
    assert pull(client, workspace, "photos", out).actions == {"accepted": 4, "added": 4}
    assert check_datalist(out / "datalist.json", progress=False) == []
    reviewed = load_datalist(out / "datalist.json")
    assert reviewed.domain == domain and len(reviewed.split("training")) == 2
    for record in reviewed.split("training"):
        assert record["labels"] == {"Exudate": 1, "Drusen": 1}
        exudate, drusen = record["findings"]
        assert np.array_equal(read_mask(exudate["mask"]), blob(HEIGHT, WIDTH, int(record["study_id"][-1])))
        assert exudate["text"] == "hard exudate" and np.allclose(drusen["boxes"], [[3, 4, 20, 10]], atol=0.01)
    reviews = read_reviews(out / "reviews.jsonl")
    kept = [line for review in reviews for line in review.lines if line.before and line.before.mask]
    assert len(kept) == len(list((out / "masks").iterdir())) == 2, "what is the same before and after is written once"
    assert all(line.before.mask == line.after.mask for line in kept)
    assert {review.domain for review in reviews} == {str(domain.folder)} and reviews[0].questions.unticked == "absent"
    table = agreement_table(reviews)
    iou = table[(table["finding"] == "Exudate") & (table["measure"] == "iou")]
    assert list(iou["estimate"]) == [1] and list(iou["n"]) == [2]


def test_a_region_without_area_is_told_with_its_task(domain, predicted, tmp_path):
    workspace, page = Workspace(tmp_path / "work"), page_of(domain)
    line = rectangle_item([3, 4, 0, 10], (WIDTH, HEIGHT), "Drusen", region="drawnByHand")
    xml = page.configuration(page.labels_of(predicted[0]))
    client = server_with(workspace, prepared_from(workspace, predicted), xml, lambda items: [*items, line])
    with pytest.raises(LabelStudioError, match=r"(?s)2 faults.*reviews, task 1, after.box = .* has no area.*task 2, after.box"):
        pull(client, workspace, "photos", tmp_path / "out")


def test_a_case_pushed_before_domains_had_their_name_is_told(domain, predicted, tmp_path):
    workspace, page = Workspace(tmp_path / "work"), page_of(domain)
    xml = page.configuration(page.labels_of(predicted[0]))
    one = prepared_from(workspace, predicted)[0]
    client = server_with(workspace, [one], xml, list)
    workspace.save_case("photos", one.data["case_id"], {"task" if key == "domain" else key: one.kept[key] for key in one.kept})
    with pytest.raises(LabelStudioError, match=r'has no "domain", which was called "task" once; push the predictions again'):
        pull(client, workspace, "photos", tmp_path / "out")


def test_no_file_knows_a_domain_by_name():
    names = "|".join(file.parent.name for file in DOMAINS.glob("*/domain.json"))
    compared = rf"(==|!=|in|case) *[\(\[{{]?['\"]({names}|npc|fundus|film)['\"]"
    found = subprocess.run(["git", "grep", "-nE", compared, "--", "integrations"], cwd=ROOT, capture_output=True, text=True)
    assert found.stdout == "" and found.stderr == ""
