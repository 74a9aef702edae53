import copy
import json
import re

import pytest

from scripts.cases.kind import case_id
from scripts.datalists import datalist as module
from scripts.datalists.datalist import load_datalist, save_datalist
from scripts.files.errors import DatalistError
from scripts.files.faults import describe_faults, write_faults


def examples() -> dict[str, dict]:
    """The examples of the module's documentation, by domain."""
    found = re.findall(r"\n\n((?:    .*\n)+)", module.__doc__)
    return {content["domain"]: content for content in map(json.loads, found)}


def write(folder, content) -> str:
    path = folder / "datalist.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


def faults_of(folder, content) -> list[tuple[str, str, str, str]]:
    """(kind, split, record, key) of every fault of form."""
    with pytest.raises(DatalistError) as caught:
        load_datalist(write(folder, content))
    for fault in caught.value.faults:
        assert str(fault) in str(caught.value) and "\n" not in str(fault)
        assert fault.reason and fault.hint and fault.file == str(folder / "datalist.json")
    return [(fault.kind, fault.split, fault.record, fault.key) for fault in caught.value.faults]


def cxr(**records) -> dict:
    return {"domain": "cxr", **records}


def film(number: int, **more) -> dict:
    return {"study_id": f"s{number}", "patient_id": f"p{number}", "image": f"{number}.png", "report": "Clear.", **more}


@pytest.mark.parametrize("domain", ["cxr", "nasal", "ct"])
def test_the_documented_examples_load(tmp_path, domain):
    content = examples()[domain]
    cases = load_datalist(write(tmp_path, content))
    assert (cases.domain.name, cases.name) == (domain, "example")
    assert [cases.case_id(r) for r in cases.split("training")] == [case_id(r) for r in content["training"]]


def test_relative_paths_start_at_the_datalists_folder_and_absolute_ones_stay(tmp_path, monkeypatch):
    content = examples()["cxr"]
    content["training"][0]["image"] = "/elsewhere/s1.png"
    monkeypatch.chdir(tmp_path)
    write(tmp_path, content)
    cases = load_datalist("datalist.json")
    assert cases.split("training")[0]["image"] == "/elsewhere/s1.png"
    test = cases.split("test")[0]
    assert test["image"] == str(tmp_path / "films/s2.dcm")
    assert test["findings"][0]["mask"] == str(tmp_path / "masks/s2.png")
    nasal = load_datalist(write(tmp_path, examples()["nasal"])).split("training")[0]
    assert nasal["images"] == [str(tmp_path / "e1/1.jpg"), str(tmp_path / "e1/2.jpg")]


def test_saved_paths_are_relative_and_load_to_the_same_records(tmp_path):
    loaded = load_datalist(write(tmp_path, examples()["nasal"]))
    save_datalist(tmp_path / "lists" / "b.json", "nasal", {**loaded.splits, "test": []}, name="n", description="d")
    saved = json.loads((tmp_path / "lists" / "b.json").read_text())
    assert saved["training"][0]["images"] == ["../e1/1.jpg", "../e1/2.jpg"]
    assert saved["training"][0]["findings"][0]["mask"] == "../e1/2_mass.png"
    assert list(saved) == ["name", "domain", "description", "training"]
    assert load_datalist(tmp_path / "lists" / "b.json").splits == loaded.splits


def test_faulty_records_are_not_saved(tmp_path):
    with pytest.raises(DatalistError, match="duplicate id"):
        save_datalist(tmp_path / "a.json", "cxr", {"test": [film(1), film(1)]})
    assert not list(tmp_path.iterdir())


def test_sha256_is_the_files(tmp_path):
    path = write(tmp_path, cxr(test=[film(1)]))
    before = load_datalist(path).sha256
    write(tmp_path, cxr(test=[film(2)]))
    assert load_datalist(path).sha256 != before and re.fullmatch("[0-9a-f]{64}", before)


def test_a_split_that_is_not_there_names_those_that_are(tmp_path):
    cases = load_datalist(write(tmp_path, cxr(test=[film(1)])))
    with pytest.raises(DatalistError, match=r"'training'.*only test"):
        cases.split("training")


def test_a_record_without_id_is_named_by_its_keys():
    with pytest.raises(DatalistError, match=r"image.*study_id"):
        case_id({"image": "a.png"})


@pytest.mark.parametrize(
    ("content", "words"),
    [("{", "not JSON.*line 1"), ("[]", "is a list, not an object"), (None, "No such file")],
)
def test_what_is_no_datalist(tmp_path, content, words):
    path = tmp_path / "datalist.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(DatalistError, match=words) as caught:
        load_datalist(path)
    assert len(caught.value.faults) == 1


def test_text_that_is_not_utf8(tmp_path):
    (tmp_path / "a.json").write_bytes(b'{"domain": "\xe9"}')
    with pytest.raises(DatalistError, match="UTF-8"):
        load_datalist(tmp_path / "a.json")


def test_one_record_with_every_fault_of_form_reports_each(tmp_path):
    finding = {
        "label": 3,
        "boxes": [[1, 2, 3], [1, 2, 0, 4], [-1, 0, 5, 5], [True, 0, 5, 5], "box"],
        "mask": "",
        "tags": "unseen",
        "txt": "x",
    }
    record = {
        "study_id": 17,
        "patient_id": "p1",
        "imge": "a.png",
        "report": " \n",
        "labels": {"A": 2, "B": True, "C": 1.0, "": 0},
        "findings": [finding, "finding", {"boxes": []}],
    }
    at = ("training", "[0]")
    expected = [
        ("missing key", *at, "image"),
        ("wrong type", *at, "study_id"),
        ("unknown key", *at, "imge"),
        ("empty report", *at, "report"),
        ("bad label", *at, "labels[A]"),
        ("bad label", *at, "labels[B]"),
        ("bad label", *at, "labels[C]"),
        ("empty text", *at, "labels"),
        ("wrong type", *at, "findings[0].label"),
        ("bad box", *at, "findings[0].boxes[0]"),
        ("bad box", *at, "findings[0].boxes[1]"),
        ("box outside the image", *at, "findings[0].boxes[2]"),
        ("bad box", *at, "findings[0].boxes[3]"),
        ("bad box", *at, "findings[0].boxes[4]"),
        ("empty text", *at, "findings[0].mask"),
        ("wrong type", *at, "findings[0].tags"),
        ("unknown key", *at, "findings[0].txt"),
        ("wrong type", *at, "findings[1]"),
        ("missing key", *at, "findings[2].label"),
        ("empty list", *at, "findings[2].boxes"),
    ]
    assert sorted(faults_of(tmp_path, cxr(training=[record]))) == sorted(expected)


def test_not_a_number_is_no_box_and_no_label(tmp_path):
    record = film(1, labels={"A": float("nan")}, findings=[{"label": "x", "boxes": [[0, 0, float("inf"), 5]]}])
    kinds = [kind for kind, *_ in faults_of(tmp_path, cxr(test=[record]))]
    assert sorted(kinds) == ["bad box", "bad label"]


def test_top_level_faults(tmp_path):
    content = {"domain": "crx", "trainin": [], "": [film(1)], "validation": [], "test": {}, "name": 3}
    assert sorted(faults_of(tmp_path, content)) == [
        ("empty split", "", "", "validation"),
        ("unknown domain", "", "", "domain"),
        ("unknown key", "", "", '""'),
        ("unknown key", "", "", "trainin"),
        ("wrong type", "", "", "name"),
        ("wrong type", "", "", "test"),
    ]
    with pytest.raises(DatalistError, match='perhaps "training" is meant') as caught:
        load_datalist(tmp_path / "datalist.json")
    assert 'perhaps "cxr" is meant' in str(caught.value)
    assert faults_of(tmp_path, {"domain": "cxr"}) == [("empty split", "", "", "")]
    assert faults_of(tmp_path, {"test": [{**film(1), "labels": 1}]}) == [
        ("unknown domain", "", "", "domain"),  # the records are judged by their ids then
        ("wrong type", "test", "s1", "labels"),
    ]


def test_a_misspelt_key_is_named_with_the_nearest(tmp_path):
    with pytest.raises(DatalistError, match='rename "patient"') as caught:
        load_datalist(write(tmp_path, cxr(test=[{"study_id": "s", "patient": "p", "image": "a.png", "reprot": ""}])))
    assert 'perhaps "report" is meant' in str(caught.value)


def test_duplicate_ids_and_patients_across_splits(tmp_path):
    training = [film(1), film(2), film(1)]
    test = [film(2, patient_id="p9"), film(4, patient_id="p1"), film(5, patient_id="p1")]
    content = cxr(training=training, test=test, validation=[film(6, patient_id="p1")])
    assert faults_of(tmp_path, content) == [
        ("duplicate id", "training", "s1", "study_id"),
        ("patient in two splits", "validation", "s6", "patient_id"),
        ("duplicate id", "test", "s2", "study_id"),
        ("patient in two splits", "test", "s4", "patient_id"),
    ]
    with pytest.raises(DatalistError, match=r"also the id of training\[1\].*test\[0\]") as caught:
        load_datalist(tmp_path / "datalist.json")
    assert "is in training (s1) and validation (s6) too" in str(caught.value)


def without(record: dict, key: str) -> dict:
    return {k: v for k, v in record.items() if k != key}


def test_training_needs_reports_and_other_splits_do_not(tmp_path):
    bare = without(film(2), "report")
    content = cxr(training=[film(1), bare], test=[without(film(3), "report")])
    assert faults_of(tmp_path, content) == [("empty report", "training", "s2", "report")]
    content = cxr(training=[film(1), {**bare, "labels": {"A": 1}}])  # labels do not stand in for a forgotten report
    assert faults_of(tmp_path, content) == [("empty report", "training", "s2", "report")]
    content = cxr(training=[film(1, labels={"A": 0}), {**bare, "labels": {"A": 1}}])
    assert faults_of(tmp_path, content) == [("empty report", "training", "s2", "report")]
    assert faults_of(tmp_path, cxr(test=[film(1, report="")])) == [("empty report", "test", "s1", "report")]


def test_a_training_list_all_of_labels_needs_no_report(tmp_path):
    labelled = [without(film(n, labels={"A": n % 2}), "report") for n in range(4)]
    assert len(load_datalist(write(tmp_path, cxr(training=labelled))).split("training")) == 4


def test_ct_reports(tmp_path):
    content = examples()["ct"]
    del content["test"]
    bare = without(without(content["training"][0], "reports"), "labels")
    assert faults_of(tmp_path, {**content, "training": [bare]}) == [("empty report", "training", "v1", "reports")]
    content["training"][0]["reports"] = {}
    assert faults_of(tmp_path, content) == [("empty report", "training", "v1", "reports")]
    content["training"][0]["reports"] = {"lung": "", "heart": None}
    assert faults_of(tmp_path, content) == [
        ("empty report", "training", "v1", "reports[lung]"),
        ("wrong type", "training", "v1", "reports[heart]"),
    ]


def test_ct_needs_a_whole_report_or_one_by_anatomy_in_training_and_no_mask(tmp_path):
    bare = {"volume_id": "v1", "patient_id": "p1", "image": "v1"}
    assert load_datalist(write(tmp_path, {"domain": "ct", "training": [{**bare, "report": "Clear."}]})).split("training")
    content = {
        "domain": "ct",
        "training": [{**bare, "labels": {"A": 1}}],
        "test": [{**bare, "volume_id": "v2", "patient_id": "p2"}],
    }
    assert load_datalist(write(tmp_path, content)).split("test")
    content["training"].append({**bare, "volume_id": "v3", "report": " "})
    assert faults_of(tmp_path, content) == [
        ("empty report", "training", "v3", "report"),
        ("empty report", "training", "v1", "reports"),
    ]


def test_ct_paths_to_the_sources_are_paths_too(tmp_path):
    cases = load_datalist(write(tmp_path, examples()["ct"]))
    prepared = cases.split("training")[0]
    assert prepared["source_image"] == str(tmp_path / "raw/v1.nii.gz")
    assert prepared["source_mask"] == str(tmp_path / "raw/v1_structures.nii.gz")
    save_datalist(tmp_path / "lists" / "b.json", "ct", cases.splits)
    saved = json.loads((tmp_path / "lists" / "b.json").read_text())["training"][0]
    assert (saved["source_image"], saved["image"]) == ("../raw/v1.nii.gz", "../volumes/v1.nii")


def test_nasal_faults(tmp_path):
    content = examples()["nasal"]
    exam = content["training"][0]
    exam["findings"] = [
        {"image_index": 2, "label": "mass"},
        {"image_index": -1, "label": "mass"},
        {"image_index": True, "label": "mass", "box": [1, 2, 3]},
        {"label": "mass", "boxes": []},
    ]
    exam["report"] = ""
    second = {**copy.deepcopy(exam), "exam_id": "e2", "images": [], "findings": []}
    third = {**second, "exam_id": "e3", "images": "a.png", "report": "Normal."}
    content["training"] += [second, third]
    at = ("training", "e1")
    assert faults_of(tmp_path, content) == [
        ("empty report", *at, "report"),
        ("bad image index", *at, "findings[1].image_index"),
        ("wrong type", *at, "findings[2].image_index"),
        ("bad box", *at, "findings[2].box"),
        ("missing key", *at, "findings[3].image_index"),
        ("unknown key", *at, "findings[3].boxes"),
        ("bad image index", *at, "findings[0].image_index"),
        ("empty list", "training", "e2", "images"),
        ("empty report", "training", "e2", "report"),
        ("wrong type", "training", "e3", "images"),
    ]


def test_records_that_are_no_objects(tmp_path):
    assert faults_of(tmp_path, cxr(test=[3, film(1), None])) == [
        ("wrong type", "test", "[0]", ""),
        ("wrong type", "test", "[2]", ""),
    ]


def test_a_fault_is_one_line_with_all_that_is_needed(tmp_path):
    with pytest.raises(DatalistError) as caught:
        load_datalist(write(tmp_path, cxr(test=[film(1, labels={"A": 2})])))
    (fault,) = caught.value.faults
    hint = "give 0 (absent) or 1 (present), leave uncertain labels out"
    assert str(fault) == f"{tmp_path}/datalist.json, test, s1, labels[A] = 2: is neither 0 nor 1; {hint}"


def test_many_faults_are_grouped_counted_and_capped(tmp_path):
    records = [film(n, labels={"A": 2}) for n in range(60)] + [film(99, colour="x" * 500)]
    with pytest.raises(DatalistError) as caught:
        load_datalist(write(tmp_path, cxr(test=records)))
    faults = caught.value.faults
    lines = describe_faults(faults, most=50).splitlines()
    assert lines[0].endswith("61 faults in 61 records")
    assert lines[1] == "unknown key (1):" and len(lines[2]) < 400  # the rare ones first, long values cut
    assert lines[3] == "bad label (60):" and lines[-1] == "  ... 10 more" and len(lines) == 55
    write_faults(tmp_path / "faults.csv", faults)
    table = (tmp_path / "faults.csv").read_text().splitlines()
    assert table[0] == "kind,file,split,record,key,value,reason,hint" and len(table) == 62 and "x" * 500 in table[-1]


@pytest.mark.parametrize(
    ("regions", "kind", "key"),
    [
        (["nasopharynx"], "bad region count", "regions"),
        ([None, "nasofarynx"], "unknown region", "regions[1]"),
        ([None, 7], "wrong type", "regions[1]"),
        ([], "empty list", "regions"),
    ],
)
def test_regions_of_nasal_images(tmp_path, regions, kind, key):
    content = examples()["nasal"]
    content["training"][0]["regions"] = regions
    assert faults_of(tmp_path, content) == [(kind, "training", "e1", key)]


def test_a_datalist_of_before_names_the_new_word(tmp_path):
    assert faults_of(tmp_path, {"task": "cxr", "test": [film(1)]}) == [("unknown key", "", "", "task")]
    with pytest.raises(DatalistError, match='task = "cxr": is called "domain" now; write "domain", one of ct, cxr, nasal'):
        load_datalist(tmp_path / "datalist.json")


def test_a_domain_of_ones_own_is_named_by_its_folder(tmp_path):
    """Relative to the datalist, wherever it is read from; its regions and kind are the folder's own."""
    own = tmp_path / "ours"
    own.mkdir()
    about = {"title": "throat exams", "kind": "exam", "colour": "rgb", "lexicons": {"en": "lexicon.json"}, "regions": ["larynx"]}
    (own / "domain.json").write_text(json.dumps(about))
    (own / "lexicon.json").write_text("{}")
    exam = {"exam_id": "e1", "patient_id": "p1", "images": ["1.png"], "report": "Clear.", "regions": ["larynx"]}
    (tmp_path / "lists").mkdir()
    cases = load_datalist(write(tmp_path / "lists", {"domain": "../ours", "training": [exam]}))
    assert cases.domain.name == "ours" and cases.kind.name == "exam" and cases.domain.reference == str(own)
    save_datalist(tmp_path / "b.json", cases.domain, cases.splits)
    assert json.loads((tmp_path / "b.json").read_text())["domain"] == "ours"
    exam["regions"] = ["nasopharynx"]
    assert faults_of(tmp_path, {"domain": "ours", "training": [exam]}) == [("unknown region", "training", "e1", "regions[0]")]


def test_what_subgroups_go_by_may_stand_in_every_record(tmp_path):
    more = {"site": "A", "sex": "F", "age": 61, "view": "PA", "scanner": "X1"}
    assert load_datalist(write(tmp_path, cxr(test=[film(1, **more)]))).split("test")[0]["age"] == 61
    assert faults_of(tmp_path, cxr(test=[film(1, **more | {"age": "61"})])) == [("bad age", "test", "s1", "age")]
