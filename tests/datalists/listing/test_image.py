import pytest

from scripts.datalists.datalist import save_datalist
from scripts.datalists.listing.image import image_records
from scripts.files.errors import UserError


@pytest.fixture
def folder(tmp_path):
    for name in ("b.png", "a.PNG", "a.dcm", "deep/er/c.jpg", "d.jpeg", "e.dicom", "notes.txt", "mask.npy"):
        file = tmp_path / "films" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    (tmp_path / "films" / "folder.png").mkdir()
    return tmp_path / "films"


def test_one_film(folder):
    assert image_records(folder / "b.png", "cxr") == [{"study_id": "b", "patient_id": "b", "image": str(folder / "b.png")}]
    assert image_records(str(folder / "notes.txt"), "cxr")[0]["study_id"] == "notes"  # named on purpose: the reader judges it


def test_a_folder(folder, monkeypatch):
    names = ["a.PNG", "a.dcm", "b.png", "d.jpeg", "deep/er/c.jpg", "e.dicom"]
    expected = [{"study_id": name, "patient_id": name, "image": str(folder / name)} for name in names]
    assert image_records(folder, "cxr") == expected
    monkeypatch.chdir(folder.parent)
    assert image_records("films", "cxr") == expected  # paths hold wherever the command was given


def test_a_datalist_gives_the_films_of_all_its_splits(folder):
    def record(number, **more):
        return {"study_id": f"s{number}", "patient_id": f"p{number}", "image": str(folder / "b.png"), **more}

    splits = {"training": [record(1, report="Clear.")], "validation": [record(2)], "test": [record(3), record(4)]}
    save_datalist(folder / "list.json", "cxr", splits)
    assert image_records(folder / "list.json", "cxr") == [record for split in splits.values() for record in split]


def test_a_datalist_of_another_task_is_refused(folder):
    exam = {"exam_id": "e1", "patient_id": "p1", "images": [str(folder / "b.png")], "report": "Turbinates normal."}
    save_datalist(folder / "list.json", "nasal", {"training": [exam]})
    with pytest.raises(UserError, match=r"list\.json is a datalist of domain 'nasal': give one of 'cxr'"):
        image_records(folder / "list.json", "cxr")


def test_nothing_there(folder):
    with pytest.raises(UserError, match=r"gone does not exist: give an image, a folder of images, or a datalist"):
        image_records(folder / "gone", "cxr")
    with pytest.raises(UserError, match=r"gone\.json.* cannot be opened"):
        image_records(folder / "gone.json", "cxr")
    (folder / "empty").mkdir()
    with pytest.raises(UserError, match=r"empty holds no image of chest films: looked for \.png, \.jpg"):
        image_records(folder / "empty", "cxr")
