import pytest

from scripts.datalists.sources import SOURCES
from scripts.files.errors import SourceError
from tests.real_films import NIH_BOX, NIH_ENTRY, lay_out_nih, nih_entries

ENTRIES = {
    "00000001_000.png": ("Cardiomegaly|Effusion", 1),
    "00000001_001.png": ("No Finding", 1),
    "00000002_000.png": ("No Finding", 2),
    "00000003_000.png": ("Infiltration|Pleural_Thickening", 3),
    "00000004_000.png": ("Hernia", 4),
}


@pytest.fixture
def nih(tmp_path, film, table):
    table(tmp_path / "Data_Entry_2017_v2020.csv", NIH_ENTRY, *nih_entries(ENTRIES))
    table(
        tmp_path / "BBox_List_2017.csv",
        NIH_BOX,
        "00000003_000.png,Infiltrate,225.084745762712,547.019216763771,86.7796610169491,79.1864406779661,,,",
        "00000001_000.png,Effusion,-0.5,10,20,30,,,",
        "00000001_000.png,Effusion,1000,1020,24.5,4.25,,,",
        "00000001_000.png,Cardiomegaly,1000,10,30,20,,,",
    )
    table(tmp_path / "train_val_list.txt", "00000001_001.png", "00000002_000.png", "00000003_000.png", "00000004_000.png")
    table(tmp_path / "test_list.txt", "00000001_000.png")
    for number, name in enumerate(ENTRIES):
        film(tmp_path / f"images_00{number % 2 + 1}" / "images" / name, (32, 32))
    return tmp_path


def test_records(nih):
    splits = SOURCES["nih-chestxray14"](nih, validation=0.5)
    assert [r["study_id"] for r in splits["test"]] == ["00000001_000", "00000001_001", "00000003_000"]
    rest = splits["training"] + splits["validation"]
    assert sorted(r["study_id"] for r in rest) == ["00000002_000", "00000004_000"]
    assert len(splits["training"]) == len(splits["validation"]) == 1
    first, follow_up, moved = splits["test"]
    assert first["image"] == str(nih / "images_001/images/00000001_000.png")
    assert first["patient_id"] == "1"
    assert [label for label, value in first["labels"].items() if value] == ["Cardiomegaly", "Effusion"]
    # At most a pixel outside is cut at the edge; six pixels outside are the owner's and stay for the check to see.
    assert first["findings"] == [
        {
            "label": "Effusion",
            "text": "Findings suggesting Effusion.",
            "boxes": [[0, 10, 19.5, 30], [1000, 1020, 24, 4]],
        },
        {"label": "Cardiomegaly", "text": "Findings suggesting Cardiomegaly.", "boxes": [[1000, 10, 30, 20]]},
    ]
    assert len(follow_up["labels"]) == 14
    assert not any(follow_up["labels"].values())
    assert moved["findings"] == [
        {
            "label": "Infiltration",
            "text": "Findings suggesting Infiltration.",
            "boxes": [[225.084745762712, 547.019216763771, 86.7796610169491, 79.1864406779661]],
        }
    ]


def test_faults_at_once(nih, table):
    (nih / "test_list.txt").unlink()
    entries = {**ENTRIES, "00000005_000.png": ("Covid|Mass", 5)}
    table(nih / "Data_Entry_2017_v2020.csv", NIH_ENTRY, *nih_entries(entries))
    table(nih / "BBox_List_2017.csv", NIH_BOX, "00000009_000.png,Lump,1,2,3,4,,,", "00000001_000.png,Mass,1,2,wide,4,,,")
    with pytest.raises(SourceError) as raised:
        SOURCES["nih-chestxray14"](nih)
    text = str(raised.value)
    assert "unknown label: 00000005_000.png ('Covid')" in text
    assert "Finding Label is unknown: Lump" in text
    assert "boxed films are not in Data_Entry: 00000009_000.png" in text
    assert "column w is not a number: 00000001_000.png ('wide')" in text
    assert "test_list.txt: not found" in text


def test_lists_must_share_out_the_films(nih, table):
    table(nih / "test_list.txt", "00000002_000.png")
    with pytest.raises(SourceError) as raised:
        SOURCES["nih-chestxray14"](nih)
    assert "films are in train_val_list.txt too: 00000002_000.png" in str(raised.value)
    assert "films of Data_Entry are in neither: 00000001_000.png" in str(raised.value)


def test_missing_films(nih):
    (nih / "images_001/images/00000001_000.png").unlink()
    with pytest.raises(SourceError, match=r"image files missing \(1\): 00000001_000.png"):
        SOURCES["nih-chestxray14"](nih)
    assert len(SOURCES["nih-chestxray14"](nih, skip_missing=True)["test"]) == 2


def test_real_films(shared_data, tmp_path, assert_datalist):
    boxes = lay_out_nih(shared_data, tmp_path / "nih")
    splits = SOURCES["nih-chestxray14"](tmp_path / "nih", validation=0.25)
    assert {name: len(records) for name, records in splits.items()} == {"training": 6, "validation": 2, "test": 32}
    found = [finding for record in splits["test"] for finding in record["findings"]]
    assert sum(len(finding["boxes"]) for finding in found) == boxes
    assert {finding["label"] for finding in found} == {
        "Atelectasis",
        "Cardiomegaly",
        "Effusion",
        "Infiltration",
        "Mass",
        "Nodule",
        "Pneumonia",
        "Pneumothorax",
    }
    record = next(record for record in splits["test"] if record["study_id"] == "00000147_001")
    assert record["findings"][0]["boxes"] == [[617, 599, 100, 179]]
    assert_datalist(splits)
