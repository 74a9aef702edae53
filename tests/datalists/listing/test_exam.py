"""Exams named on a command line."""

import pytest

from scripts.datalists.datalist import save_datalist
from scripts.datalists.listing.exam import exam_records
from scripts.files.errors import UserError


def touch(*files):
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


def test_a_folder_of_images_is_an_exam_and_a_folder_of_folders_are_exams(tmp_path):
    touch(*(tmp_path / name for name in ("b/2.png", "b/1.JPG", "a/x.dcm", "a/notes.txt")))
    assert [(r["exam_id"], [p.rsplit("/", 1)[1] for p in r["images"]]) for r in exam_records(tmp_path, "nasal")] == [
        ("a", ["x.dcm"]),
        ("b", ["1.JPG", "2.png"]),
    ]
    (exam,) = exam_records(tmp_path / "b", "nasal")
    assert (exam["exam_id"], exam["patient_id"], len(exam["images"])) == ("b", "b", 2)
    (single,) = exam_records(tmp_path / "a" / "x.dcm", "nasal")
    assert single["exam_id"] == "x"


def test_the_folder_of_a_datalist_stands_for_it(tmp_path):
    touch(*(tmp_path / "images" / name for name in ("1.png", "2.png")))
    records = [
        {"exam_id": f"e{n}", "patient_id": f"p{n}", "images": [f"images/{n}.png"], "report": "Septum straight."} for n in (1, 2)
    ]
    save_datalist(tmp_path / "datalist.json", "nasal", {"test": records}, name="two")
    assert [record["exam_id"] for record in exam_records(tmp_path, "nasal")] == ["e1", "e2"]


@pytest.mark.parametrize(
    ("files", "says"), [([], "holds no image"), (["a.png", "b/c.png"], "is it one exam"), (["notes.txt"], "holds no image")]
)
def test_what_is_no_exam_is_refused(tmp_path, files, says):
    touch(*(tmp_path / name for name in files))
    with pytest.raises(UserError, match=says):
        exam_records(tmp_path, "nasal")
    with pytest.raises(UserError, match="does not exist"):
        exam_records(tmp_path / "nowhere", "nasal")
