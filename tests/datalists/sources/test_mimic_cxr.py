import pytest

from scripts.datalists.sources import SOURCES
from scripts.files.errors import SourceError

LABELS = (
    "Atelectasis,Cardiomegaly,Consolidation,Edema,Enlarged Cardiomediastinum,Fracture,Lung Lesion,Lung Opacity,"
    "No Finding,Pleural Effusion,Pleural Other,Pneumonia,Pneumothorax,Support Devices"
)
# dicom_id, subject_id, study_id, ViewPosition, split
FILMS = [
    ("02aa804e-bde0afdd", "10000032", "50414267", "PA", "train"),
    ("174413ec-4ec4c1f7", "10000032", "50414267", "LATERAL", "train"),
    ("2a2277a9-b0ded155", "10000032", "53189527", "AP", "train"),
    ("e084de3b-be89b11e", "10000032", "53189527", "PA", "train"),
    ("68b5c4b1-227d0485", "10000764", "57375967", "AP", "validate"),
    ("096052b7-d256dc40", "11000898", "50771383", "PA", "test"),
    ("fffabebf-74fd3a1f", "11000898", "54205396", "", "test"),
]
REPORT = "                                 FINAL REPORT\n EXAMINATION:  CHEST (PA AND LAT)\n\n FINDINGS: \n No edema ___.\n"


@pytest.fixture
def mimic(tmp_path, film, table):
    root = tmp_path / "mimic-cxr-jpg"
    columns = "dicom_id,subject_id,study_id,PerformedProcedureStepDescription,ViewPosition,Rows,Columns"
    rows = [f'{d},{p},{s},"CHEST (PA, LAT)",{view},48,40' for d, p, s, view, _ in FILMS]
    table(root / "mimic-cxr-2.0.0-metadata.csv.gz", columns, *rows)
    rows = [f"{d},{s},{p},{split}" for d, p, s, _, split in FILMS]
    table(root / "mimic-cxr-2.0.0-split.csv.gz", "dicom_id,study_id,subject_id,split", *rows)
    certain = "10000032,50414267,1.0,0.0,-1.0,,,,,,,,,,,1.0"
    unsaid = "10000764,57375967,,,,,,,,,,,,,,-1.0"
    table(root / "mimic-cxr-2.0.0-chexpert.csv", f"subject_id,study_id,{LABELS}", certain, unsaid)
    for dicom, patient, study, *_ in FILMS:
        folder = root / "files" / f"p{patient[:2]}" / f"p{patient}"
        film(folder / f"s{study}" / f"{dicom}.jpg")
        (folder / f"s{study}.txt").write_text(f"{study}\n{REPORT}")
    return root


def test_records(mimic, assert_datalist):
    splits = SOURCES["mimic-cxr"](mimic)
    folder = mimic / "files/p10/p10000032"
    assert splits["training"] == [
        {
            "study_id": "50414267",
            "patient_id": "10000032",
            "image": str(folder / "s50414267/02aa804e-bde0afdd.jpg"),
            "report": f"50414267\n{REPORT}",
            "labels": {"Atelectasis": 1, "Cardiomegaly": 0, "Support Devices": 1},
        },
        {
            "study_id": "53189527_2a2277a9-b0ded155",
            "patient_id": "10000032",
            "image": str(folder / "s53189527/2a2277a9-b0ded155.jpg"),
            "report": f"53189527\n{REPORT}",
        },
        {
            "study_id": "53189527_e084de3b-be89b11e",
            "patient_id": "10000032",
            "image": str(folder / "s53189527/e084de3b-be89b11e.jpg"),
            "report": f"53189527\n{REPORT}",
        },
    ]
    assert [(r["study_id"], "labels" in r) for r in splits["validation"]] == [("57375967", False)]
    assert [r["study_id"] for r in splits["test"]] == ["50771383"]
    assert_datalist(splits)


def test_views_and_reports_of_another_folder(mimic, tmp_path):
    reports = tmp_path / "mimic-cxr" / "mimic-cxr-reports" / "files"
    for path in (mimic / "files").rglob("*.txt"):
        moved = reports / path.relative_to(mimic / "files")
        moved.parent.mkdir(parents=True, exist_ok=True)
        path.rename(moved)
    splits = SOURCES["mimic-cxr"](mimic, reports_dir=tmp_path / "mimic-cxr", views=("LATERAL",))
    assert {name: [r["study_id"] for r in records] for name, records in splits.items()} == {
        "training": ["50414267"],
        "validation": [],
        "test": [],
    }
    assert splits["training"][0]["report"].startswith("50414267\n")


def test_missing_films_and_reports(mimic):
    (mimic / "files/p10/p10000032/s53189527/2a2277a9-b0ded155.jpg").unlink()
    (mimic / "files/p11/p11000898/s50771383.txt").unlink()
    with pytest.raises(SourceError) as raised:
        SOURCES["mimic-cxr"](mimic)
    image, report = str(raised.value).splitlines()[1:]
    assert "image files missing (1): files/p10/p10000032/s53189527/2a2277a9-b0ded155.jpg" in image
    assert "report files missing (1): files/p11/p11000898/s50771383.txt" in report
    splits = SOURCES["mimic-cxr"](mimic, skip_missing=True)
    # The other film of the study keeps the name it has in a complete download.
    assert [r["study_id"] for r in splits["training"]] == ["50414267", "53189527_e084de3b-be89b11e"]
    assert splits["test"] == []


def test_all_table_faults_at_once(mimic, table):
    (mimic / "mimic-cxr-2.0.0-metadata.csv.gz").unlink()
    table(mimic / "mimic-cxr-2.0.0-split.csv.gz", "dicom_id,study_id,split", "a,1,train", "a,1,valid")
    table(mimic / "mimic-cxr-2.0.0-chexpert.csv", "study_id,Edema", "1,1.0")
    with pytest.raises(SourceError) as raised:
        SOURCES["mimic-cxr"](mimic)
    text = str(raised.value)
    assert "mimic-cxr-2.0.0-metadata.csv.gz: not found (nor mimic-cxr-2.0.0-metadata.csv)" in text
    assert "dicom_id occurs more than once: a" in text
    assert "column split is none of train, validate, test: a ('valid')" in text
    assert "columns missing: Atelectasis, Cardiomegaly" in text


def test_film_without_split(mimic, table):
    table(mimic / "mimic-cxr-2.0.0-split.csv.gz", "dicom_id,study_id,subject_id,split", "02aa804e-bde0afdd,1,1,train")
    with pytest.raises(SourceError, match=r"films of the metadata are missing: 2a2277a9-b0ded155, e084de3b"):
        SOURCES["mimic-cxr"](mimic)
