import pytest

from scripts.datalists.sources import SOURCES
from scripts.files.errors import SourceError
from tests.real_films import lay_out_case_notes, write_case_notes

CASES = [
    ("2", "Pneumonia/Viral/COVID-19", "PA", "images", "auntminnie-a.jpg", "Bilateral opacities.\nSee b."),
    ("2", "Pneumonia/Viral/COVID-19", "AP Supine", "images", "auntminnie-b.jpg", "Worse."),
    ("4", "todo", "AP", "images", "nejmc-f1a.png", ' "Patchy", left '),
    ("8", "Unknown", "AP", "images", "eight.jpg", "Old granuloma."),
    ("5", "No Finding", "L", "images", "lateral.jpg", "Clear."),
    ("6", "Pneumonia", "PA", "images", "unsaid.jpg", "  "),
    ("7", "Pneumonia", "Axial", "volumes", "coronacases_001.nii.gz", "CT."),
]


@pytest.fixture
def repository(tmp_path, film):
    write_case_notes(tmp_path / "metadata.csv", CASES)
    for _, _, _, folder, name, _ in CASES:
        if folder == "images":
            film(tmp_path / "images" / name)
    return tmp_path


def records_of(splits):
    return {record["study_id"]: record for records in splits.values() for record in records}


def test_records(repository, assert_datalist):
    splits = SOURCES["case-notes"](repository)
    records = records_of(splits)
    assert sorted(records) == ["auntminnie-a.jpg", "auntminnie-b.jpg", "eight.jpg", "nejmc-f1a.png"]
    assert records["auntminnie-a.jpg"] == {
        "study_id": "auntminnie-a.jpg",
        "patient_id": "2",
        "image": str(repository / "images/auntminnie-a.jpg"),
        "report": "Bilateral opacities.\nSee b.",
        "labels": {"Pneumonia": 1, "Viral": 1, "COVID-19": 1},
    }
    assert records["nejmc-f1a.png"]["report"] == '"Patchy", left'
    assert "labels" not in records["nejmc-f1a.png"]
    assert "labels" not in records["eight.jpg"]
    assert_datalist(splits)
    assert sorted(records_of(SOURCES["case-notes"](repository, views=("PA", "AP", "L")))) == [
        "auntminnie-a.jpg",
        "eight.jpg",
        "lateral.jpg",
        "nejmc-f1a.png",
    ]


def test_faults_at_once(repository):
    twice = ("", "Pneumonia", "PA", "images", "auntminnie-a.jpg", "Again.")
    gone = ("9", "Pneumonia", "PA", "images", "gone.jpg", "Gone.")
    write_case_notes(repository / "metadata.csv", [*CASES, twice, gone])
    with pytest.raises(SourceError) as raised:
        SOURCES["case-notes"](repository)
    text = str(raised.value)
    assert "filename occurs more than once: auntminnie-a.jpg" in text
    assert "patientid is blank: auntminnie-a.jpg" in text
    assert "image files missing (1): images/gone.jpg" in text


def test_missing_columns_and_folder(tmp_path, table):
    table(tmp_path / "metadata.csv", "Patientid,finding,view,folder,filename,notes", "1,a,PA,images,x.jpg,b")
    with pytest.raises(SourceError) as raised:
        SOURCES["case-notes"](tmp_path)
    assert "images: not found" in str(raised.value)
    assert "columns missing: patientid, clinical_notes. Way out: it has Patientid," in str(raised.value)


def test_real_films(shared_data, tmp_path, assert_datalist):
    cases = lay_out_case_notes(shared_data, tmp_path / "notes")
    splits = SOURCES["case-notes"](tmp_path / "notes")
    assert sum(map(len, splits.values())) == 40
    assert all(splits.values())
    people = [{record["patient_id"] for record in records} for records in splits.values()]
    assert sum(map(len, people)) == len(set.union(*people)) == len({case[0] for case in cases})
    texts = {record["study_id"]: record["report"] for record in records_of(splits).values()}
    assert all(texts[case[4]] == case[5].strip() for case in cases)
    assert_datalist(splits)
