import pytest

from scripts.datalists.sources import SOURCES
from scripts.files.errors import SourceError

HEADER = "dicom_id,category_name,label_text,path,x,y,w,h,image_width,image_height"
LUNG = "files/p10/p10000032/s50414267/02aa.jpg"
HEART = "files/p11/p11000898/s50771383/0960.jpg"
TWO_A, TWO_B = "files/p12/p12000001/s51111111/aaaa.jpg", "files/p12/p12000001/s51111111/bbbb.jpg"
ROWS = [
    (f'02aa,Lung Opacity,"opacities, both bases",{LUNG},1,2,10,20,40,48', "train"),
    (f"0960,Cardiomegaly,enlarged heart,{HEART},5.5,6,20,8,40,48", "val"),
    (f'02aa,Lung Opacity,"opacities, both bases",{LUNG},22,2,10,21,40,48', "train"),
    (f"02aa,Pleural Effusion,small left effusion,{LUNG},25,30,8,9,40,48", "train"),
    (f"aaaa,Edema,mild edema,{TWO_A},0,0,40,48,40,48", "test"),
    (f"bbbb,Edema,mild edema,{TWO_B},0,0,39,47,40,48", "test"),
]


@pytest.fixture
def images(tmp_path, film):
    for path in (LUNG, HEART, TWO_A, TWO_B):
        film(tmp_path / "mimic" / path)
    return tmp_path / "mimic"


@pytest.fixture
def first_release(tmp_path, table):
    table(tmp_path / "ms-cxr" / "MS_CXR_Local_Alignment_v1.0.0.csv", HEADER, *[row for row, _ in ROWS])
    return tmp_path / "ms-cxr"


def test_first_release_is_all_test(first_release, images, assert_datalist):
    splits = SOURCES["ms-cxr"](first_release, images)
    assert splits["training"] == splits["validation"] == []
    lung, heart, *two = splits["test"]
    assert lung == {
        "study_id": "50414267",
        "patient_id": "10000032",
        "image": str(images / LUNG),
        "findings": [
            {"label": "Lung Opacity", "text": "opacities, both bases", "boxes": [[1, 2, 10, 20], [22, 2, 10, 21]]},
            {"label": "Pleural Effusion", "text": "small left effusion", "boxes": [[25, 30, 8, 9]]},
        ],
    }
    assert heart["findings"][0]["boxes"] == [[5.5, 6, 20, 8]]
    assert [record["study_id"] for record in two] == ["51111111_aaaa", "51111111_bbbb"]
    assert_datalist(splits)


def test_second_release_has_splits(first_release, images, table):
    path = first_release / "MS_CXR_Local_Alignment_v1.1.0.csv"
    table(path, f"{HEADER},split", *[f"{row},{split}" for row, split in ROWS])
    splits = SOURCES["ms-cxr"](first_release, images)
    found = {name: [r["patient_id"] for r in records] for name, records in splits.items()}
    assert found == {"training": ["10000032"], "validation": ["11000898"], "test": ["12000001", "12000001"]}
    assert len(SOURCES["ms-cxr"](first_release, images, official_splits=False)["test"]) == 4


def test_missing_everything(tmp_path):
    with pytest.raises(SourceError) as raised:
        SOURCES["ms-cxr"](tmp_path, tmp_path / "nowhere")
    assert "2 faults" in str(raised.value)
    assert "MS_CXR_Local_Alignment_v1.1.0.csv: not found (nor v1.0.0)" in str(raised.value)
    assert "give MIMIC-CXR-JPG's folder as images_dir" in str(raised.value)


def test_bad_values_at_once(tmp_path, images, table):
    good = ROWS[0][0]
    rows = [f"{good},train", f"{good},val", good.replace(",1,2,10,", ",1,two,10,").replace("02aa,", "02ab,") + ",dev"]
    rows += [good.replace(LUNG, "p10/x.jpg").replace("02aa,", "02ac,").replace("opacities, both bases", " ") + ",test"]
    table(tmp_path / "ms" / "MS_CXR_Local_Alignment_v1.1.0.csv", f"{HEADER},split", *rows)
    with pytest.raises(SourceError) as raised:
        SOURCES["ms-cxr"](tmp_path / "ms", images)
    text = str(raised.value)
    assert "column y is not a number: 02ab ('two')" in text
    assert "column split is none of train, val, test: 02ab ('dev')" in text
    assert "a film is in two splits: 02aa" in text
    assert "is blank: 02ac" in text
    assert "path is not files/pNN/pPATIENT/sSTUDY/DICOM.jpg: p10/x.jpg" in text


def test_missing_film(first_release, images):
    (images / HEART).unlink()
    with pytest.raises(SourceError, match=r"image files missing \(1\): .*0960.jpg"):
        SOURCES["ms-cxr"](first_release, images)
    assert len(SOURCES["ms-cxr"](first_release, images, skip_missing=True)["test"]) == 3
