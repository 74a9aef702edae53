"""The backend against Label Studio's protocol, with the weights that ship: what it answers, and what it refuses."""

import base64
import queue
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient

from integrations.label_studio.answers.answer import Labels
from integrations.label_studio.answers.results import PHRASE, is_region, label_of, mask_of, words_of
from integrations.label_studio.backend import app as backend
from integrations.label_studio.backend.app import create_app, running
from integrations.label_studio.backend.model import BundleModel
from integrations.label_studio.cases import case_inputs, prepare
from integrations.label_studio.errors import LabelStudioError
from integrations.label_studio.pages import page_of
from integrations.label_studio.workspace import Workspace
from scripts.cases.domain import read_domain
from scripts.datalists.datalist import load_datalist
from scripts.phantoms.cxr import write_phantoms as write_films
from scripts.phantoms.nasal import write_phantoms as write_exams
from scripts.predictions.masks import read_mask
from scripts.predictions.predictions import read_predictions
from tests.bundles.commands import Bundle
from tests.integrations.conftest import free_port
from tests.integrations.volumes import write_predictions, write_volume

BUNDLES = Path(__file__).resolve().parents[4] / "bundles"
PASSWORD = "secret of a test"
KNOWN = (backend.USER, PASSWORD)


def bundle(name: str, **settings) -> BundleModel:
    folder = BUNDLES / name
    weights = {"checkpoint": str(folder / "models" / "phantom" / "model.pt"), **settings}
    return BundleModel(folder, ["phantom"], weights)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Workspace:
    return Workspace(tmp_path_factory.mktemp("reviews"))


@pytest.fixture(scope="module")
def image_records(tmp_path_factory) -> list[dict]:
    folder = tmp_path_factory.mktemp("films")
    write_films(folder, training=0, validation=0, test=12, seed=4, workers=1)
    return load_datalist(folder / "datalist.json").split("test")


@pytest.fixture(scope="module")
def films_backend(place):
    with TestClient(create_app(bundle("cxr_localization"), place, PASSWORD)) as client:
        yield client


def shown(place: Workspace, *files: str, name: str) -> list[str]:
    """Addresses of pictures, put below the image folder."""
    folder = place.images / "project" / name
    folder.mkdir(parents=True, exist_ok=True)
    for number, file in enumerate(files):
        shutil.copy(file, folder / f"{number}.png")
    return [f"/data/local-files/?d=project/{name}/{number}.png" for number in range(len(files))]


def ask(client, data, phrase=None, config=None, auth=KNOWN):
    """POST /predict as Label Studio does."""
    context = None
    if phrase is not None:
        context = {"result": [{"type": "textarea", "from_name": PHRASE, "to_name": "image", "value": {"text": [phrase]}}]}
    body = {"tasks": [{"id": 1, "data": data}], "project": "1.2", "label_config": config, "params": {"context": context}}
    return client.post("/predict", json=body, auth=auth)


CXR = page_of("cxr").configuration(
    Labels(
        ("Pleural effusion", "pleural effusion", "consolidation", "pneumothorax"),
    )
    | Labels((), ("x",)),
)


def test_a_typed_phrase_is_found_where_the_lesion_is(films_backend, place, image_records):
    shares, chances = [], []
    for record in image_records:
        for finding in record["findings"]:
            (url,) = shown(place, record["image"], name=record["study_id"])
            answer = ask(films_backend, {"image": url}, finding["text"], CXR)
            assert answer.status_code == 200, answer.text
            (result,) = answer.json()["results"]
            assert result["model_version"].startswith("cxr_localization 0.1.0 (")
            truth = read_mask(finding["mask"])
            found = [mask_of(item) for item in result["result"]]
            if found:
                shares.append(truth[np.any(found, axis=0)].mean())
                chances.append(truth.mean())
    assert len(shares) >= 9 and np.mean(shares) > 4 * np.mean(chances), (shares, chances)


def test_a_region_takes_the_label_that_the_phrase_names_and_carries_the_words(films_backend, place, image_records):
    config = page_of("cxr").configuration(Labels(("effusion", "pleural effusion"), ("x",)))
    for record in image_records:
        (url,) = shown(place, record["image"], name=record["study_id"])
        for phrase, labels in (("left Pleural effusion", ["pleural effusion"]), ("opacity", None)):
            for item in ask(films_backend, {"image": url}, phrase, config).json()["results"][0]["result"]:
                assert item["value"].get("brushlabels") == labels and words_of(item) == phrase
                assert label_of(item) == (labels[0] if labels else phrase)
                assert 0 <= item["score"] <= 1 and is_region(item)


def test_what_cannot_be_pointed_at_gives_no_region(films_backend, place, image_records):
    (url,) = shown(place, image_records[0]["image"], name="one")
    assert ask(films_backend, {"image": url}, "no pleural effusion", CXR).json()["results"][0]["result"] == []
    drawn = {"params": {"context": {"result": [{"type": "brushlabels", "value": {}}]}}, "tasks": [{"data": {"image": url}}]}
    assert films_backend.post("/predict", json=drawn, auth=KNOWN).json()["results"][0]["result"] == []


def test_suggestions_are_what_push_sends(films_backend, place, image_records, tmp_path):
    films = Path(image_records[0]["image"]).parent
    weights = ["--checkpoint", BUNDLES / "cxr_localization" / "models" / "phantom" / "model.pt"]
    Bundle("cxr_localization").run(["inference", "phantom"], "--films", films, *weights, "--output_dir", tmp_path)
    found = case_inputs(read_predictions(tmp_path), None)
    pushed = prepare(place, "other", found, version="v", shape="mask", random_share=0, keep_phi=False)
    phrases = ("pleural effusion", "consolidation", "pneumothorax")
    config, regions = page_of("cxr").configuration(Labels(phrases, phrases)), 0
    for one in pushed:
        (suggested,) = ask(films_backend, one.data, config=config).json()["results"]
        assert [item["value"] for item in suggested["result"]] == [item["value"] for item in one.prediction["result"]]
        assert suggested["score"] == pytest.approx(one.prediction["score"], abs=1e-3)
        regions += sum(map(is_region, suggested["result"]))
    assert len(pushed) == 12 and regions >= 3


def test_the_model_reads_the_files_that_the_pictures_were_made_from(films_backend, place, image_records, tmp_path):
    record = image_records[0]
    (url,) = shown(place, record["image"], name="kept")
    place.save_case("project", "kept", {"case_id": "s", "images": [str(tmp_path / "gone.png")]})
    answer = ask(films_backend, {"image": url}, "pleural effusion", CXR)
    assert answer.status_code == 422 and "gone.png" in answer.json()["detail"]


def test_an_exams_phrase_is_found_on_one_of_its_images(place, tmp_path):
    write_exams(tmp_path, training=0, validation=0, test=3, seed=5, workers=1)
    classes = ("NOR", "BH", "NPC")
    config = page_of("nasal").configuration(Labels(classes, classes))
    with TestClient(create_app(bundle("nasal_pretraining"), place, PASSWORD)) as client:
        for record in load_datalist(tmp_path / "datalist.json").split("test"):
            urls = shown(place, *record["images"], name=record["exam_id"])
            (result,) = ask(client, {"images": urls}, "a bulging mass", config).json()["results"]
            assert result["result"] and len({item["item_index"] for item in result["result"]}) == 1
            assert 0 <= result["result"][0]["item_index"] < len(urls)
    with TestClient(create_app(bundle("npc_screening"), place, PASSWORD)) as client:
        (suggested,) = ask(client, {"images": urls}, config=config).json()["results"]
        assert any(item["from_name"] == "diagnosis" for item in suggested["result"]) and 0 <= suggested["score"] <= 1
        refused = ask(client, {"images": urls}, "a bulging mass", config)
        assert refused.status_code == 422 and "learned no words" in refused.json()["detail"]


def test_a_pushed_volume_is_answered_from_its_own_file(place, tmp_path):
    write_predictions(tmp_path / "predictions", {"scan": write_volume(tmp_path / "scan.nii.gz", "RAS")}, "RAS")
    found = case_inputs(read_predictions(tmp_path / "predictions"), None)
    (pushed,) = prepare(place, "scans", found, version="v", shape="mask", random_share=0, keep_phi=False)
    asked, volumes = {"domain": "ct", **pushed.data}, read_domain("ct")
    task = backend.TaskQuestion(place, asked, "", volumes, None)
    with pytest.raises(LabelStudioError, match="not known here"):
        _ = task.record
    place.save_case("scans", pushed.data["case_id"], pushed.kept)
    record = backend.TaskQuestion(place, asked, "", volumes, None).record
    assert record == {
        "image": str(tmp_path / "scan.nii.gz"),
        "anatomy_mask": found[0].record.get("anatomy_mask", record["anatomy_mask"]),
    }


def test_faults_are_told_with_a_way_out(films_backend, place, image_records):
    (url,) = shown(place, image_records[0]["image"], name="three")
    unknown = ask(films_backend, {"image": url}, config=page_of("cxr").configuration(Labels(("Mass",), ("Mass",))))
    assert unknown.status_code == 422 and "push this model's predictions" in unknown.json()["detail"]
    (place.images / "project" / "three" / "0.png").write_bytes(b"no picture")
    broken = ask(films_backend, {"image": url}, "pleural effusion", CXR)
    assert broken.status_code == 422 and "0.png" in broken.json()["detail"]
    for data, said in (({}, "names no image"), ({"image": url, "domain": "ct"}, "is for cxr"), ({"images": [1]}, "names no image")):
        answer = ask(films_backend, data, config=CXR)
        assert answer.status_code == 422 and said in answer.json()["detail"]
    assert films_backend.post("/predict", content=b"{", auth=KNOWN).status_code == 422
    with pytest.raises(LabelStudioError, match="no such_thing"):
        bundle("cxr_localization", such_thing=1)
    with pytest.raises(LabelStudioError, match="not there"):
        BundleModel(BUNDLES / "absent", [], {})


@pytest.mark.parametrize("auth", [None, ("label-studio", "wrong"), ("other", PASSWORD), ("label-studio", ""), ("ä", "ö")])
def test_nobody_enters_without_the_password(films_backend, auth):
    for method, path in (("POST", "/setup"), ("GET", "/versions"), ("POST", "/predict")):
        answer = films_backend.request(method, path, auth=auth, json={"tasks": []})
        assert answer.status_code == 401 and answer.headers["www-authenticate"].startswith("Basic"), path
    assert films_backend.post("/setup", headers={"Authorization": "Basic " + base64.b64encode(b"none").decode()}).status_code == 401


def test_what_label_studio_asks_without_password_tells_nothing(films_backend):
    assert films_backend.get("/health").json() == {"status": "UP"}
    assert films_backend.post("/webhook", json={"action": "START_TRAINING"}).status_code == 200
    assert films_backend.post("/setup", auth=KNOWN, json={}).json()["model_version"] == films_backend.app.title
    for path in ("/docs", "/redoc", "/openapi.json"):
        assert films_backend.get(path, auth=KNOWN).status_code == 404


@pytest.mark.parametrize(
    "reference",
    [
        "/data/local-files/?d=../key",
        "/data/local-files/?d=project/../../key",
        "/data/local-files/?d=%2e%2e/key",
        "/data/local-files/?d=/etc/passwd",
        "/data/local-files/?d=project/link.png",
        "/data/local-files/?d=",
        "/data/local-files/?d=a&d=b",
        "/etc/passwd",
        "file:///etc/passwd",
        "http://169.254.169.254/latest/meta-data",
    ],
)
def test_nothing_outside_the_image_folder_is_read(films_backend, place, reference):
    place.key.write_text("secret")
    (place.images / "project").mkdir(parents=True, exist_ok=True)
    link = place.images / "project" / "link.png"
    link.unlink(missing_ok=True)
    link.symlink_to(place.key)
    for data in ({"image": reference}, {"images": [reference]}):
        answer = ask(films_backend, data, "pleural effusion", CXR)
        assert answer.status_code == 400 and "secret" not in answer.text


def test_large_requests_are_refused_before_they_are_read(films_backend):
    def endless():
        for _ in range(backend.MOST_BYTES // 2**16 + 1):
            yield b" " * 2**16

    assert films_backend.post("/predict", content=endless(), auth=KNOWN).status_code == 413
    stated = {"Content-Length": str(backend.MOST_BYTES + 1)}
    assert films_backend.post("/webhook", content=b"{}", headers=stated).status_code == 413
    assert films_backend.post("/webhook", content=b"{}", headers={"Content-Length": "-1"}).status_code == 413


class Slow:
    """In a model's place: holds every answer until told."""

    domain, version, takes_phrases, batch_size = read_domain("cxr"), "slow", True, 1

    def __init__(self):
        self.go, self.begun = threading.Event(), threading.Event()

    def read(self, record):
        return {"record": record}

    def answer(self, entries):
        self.begun.set()
        assert self.go.wait(30)
        return [{"score": 0.0, "result": []} for _ in entries]


def test_who_finds_the_line_full_is_told_to_come_again(place, image_records, monkeypatch):
    monkeypatch.setattr(backend, "CAPACITY", 2)
    slow, (url,) = Slow(), shown(place, image_records[0]["image"], name="four")
    answers = queue.Queue()
    with TestClient(create_app(slow, place, PASSWORD)) as client:
        threads = [threading.Thread(target=lambda: answers.put(ask(client, {"image": url}, "mass", CXR))) for _ in range(6)]
        threads[0].start()
        assert slow.begun.wait(30)
        for thread in threads[1:]:
            thread.start()
        for _ in range(3):  # one is being answered, two wait
            refused = answers.get(timeout=30)
            assert refused.status_code == 503 and int(refused.headers["retry-after"]) > 0
            assert "ask again" in refused.json()["detail"]
        slow.go.set()
        assert [answers.get(timeout=30).status_code for _ in range(3)] == [200, 200, 200]


def test_a_port_that_is_taken_is_told(place):
    port = free_port()
    app = create_app(Slow(), place, PASSWORD)
    with running(app, "127.0.0.1", port), pytest.raises(LabelStudioError, match="is taken"), running(app, "127.0.0.1", port):
        pass
