import pandas as pd
import pytest

from scripts.datalists.sources import ct_folder
from scripts.files.errors import SourceError
from scripts.reports.sections import report_sections

ROWS = [  # Accession, Patient, Findings, Impression, Emphysema, Path
    ("007", "p1", "Lungs are clear,\nheart normal.", "Normal.", "0", "007.nii.gz"),
    ("008", "p1", "Emphysema; upper lobes.", "", "1", "008.nii"),
    ("009", "p2", "Effusion.", "Effusion.", "", "009"),
    ("010", "p3", "", "Normal.", "0", "010.nii.gz"),
    ("011", "p4", " ", "", "1", "011.nii.gz"),
    ("012", "p5", "Nodule.", "Nodule.", "", "012.nii.gz"),
]
COLUMNS = ["Accession", "Patient", "Findings", "Impression", "Emphysema", "Path"]
ASKED = {"id_column": "Accession", "patient_column": "Patient"}
SECTIONS = {"findings_column": "Findings", "impression_column": "Impression"}


def write_table(path, rows=ROWS, separator=",", encoding="utf-8"):
    pd.DataFrame(rows, columns=COLUMNS).to_csv(path, index=False, sep=separator, encoding=encoding)
    return path


@pytest.fixture
def scans(tmp_path):
    root = tmp_path / "scans"
    root.mkdir()
    for row in ROWS:
        if row[0] == "009":
            (root / "009").mkdir()
            (root / "009/slice1.dcm").touch()
        else:
            (root / row[-1]).touch()
    return root


def records_of(splits):
    return {record["volume_id"]: record for records in splits.values() for record in records}


@pytest.mark.parametrize(("separator", "encoding"), [(",", "utf-8"), (";", "utf-8-sig"), ("\t", "utf-8")])
def test_records(scans, tmp_path, separator, encoding):
    path = write_table(tmp_path / "t.csv", separator=separator, encoding=encoding)
    splits = ct_folder.build(scans, path, **ASKED, **SECTIONS, labels_columns=("Emphysema",))
    records = records_of(splits)
    assert records["007"] == {
        "volume_id": "007",
        "patient_id": "p1",
        "image": str(scans / "007.nii.gz"),
        "report": "FINDINGS: Lungs are clear, heart normal.\nIMPRESSION: Normal.",
        "labels": {"Emphysema": 0},
    }
    assert records["008"]["image"] == str(scans / "008.nii") and records["009"]["image"] == str(scans / "009")
    assert "labels" not in records["009"]
    assert records["010"]["report"] == "IMPRESSION: Normal."
    assert set(records) == {"007", "008", "009", "010", "012"}  # 011 has no report
    assert all(splits.values())
    people = [{record["patient_id"] for record in listed} for listed in splits.values()]
    assert sum(map(len, people)) == len(set.union(*people)) == 4


def test_whole_reports_and_labels_alone(scans, tmp_path):
    path = write_table(tmp_path / "t.csv")
    records = records_of(ct_folder.build(scans, path, **ASKED, report_column="Findings"))
    assert records["007"]["report"] == "Lungs are clear,\nheart normal." and "labels" not in records["007"]
    assert set(records) == {"007", "008", "009", "012"} and report_sections(records["009"]["report"])["findings"] == "Effusion."
    records = records_of(ct_folder.build(scans, path, **ASKED, labels_columns="Emphysema"))
    assert {name: record["labels"]["Emphysema"] for name, record in records.items()} == {"007": 0, "008": 1, "010": 0, "011": 1}
    assert all("report" not in record for record in records.values())


@pytest.mark.parametrize("volume_column", ["Path", "{Path}", "{Patient}/{Accession}_ct"])
def test_paths_of_the_table(scans, tmp_path, volume_column):
    path = write_table(tmp_path / "t.csv")
    wanted = {row[0]: row[-1] for row in ROWS}
    if "_ct" in volume_column:
        wanted = {row[0]: f"{row[1]}/{row[0]}_ct" for row in ROWS}
        for name in wanted.values():
            (scans / name).mkdir(parents=True)
            (scans / name / "1.dcm").touch()
    records = records_of(ct_folder.build(scans, path, **ASKED, **SECTIONS, volume_column=volume_column))
    assert {name: record["image"] for name, record in records.items()} == {name: str(scans / wanted[name]) for name in records}


def test_masks_and_missing_volumes(scans, tmp_path):
    path = write_table(tmp_path / "t.csv")
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks/008.nii.gz").touch()
    records = records_of(ct_folder.build(scans, path, **ASKED, **SECTIONS, masks=tmp_path / "masks"))
    assert [name for name, record in records.items() if "anatomy_mask" in record] == ["008"]
    (scans / "008.nii").unlink()
    (scans / "009/slice1.dcm").unlink()
    with pytest.raises(SourceError, match=r"image files missing \(2\): 008.nii.gz, 009.nii.gz"):
        ct_folder.build(scans, path, **ASKED, **SECTIONS)


def test_options_and_columns_at_once(scans, tmp_path):
    path = write_table(tmp_path / "t.csv", separator=";")
    with pytest.raises(SourceError) as raised:
        ct_folder.build(scans, path, "Id", "Patient", report_column="Text", volume_column="{Patient}/{Scan}", **SECTIONS)
    text = str(raised.value)
    assert "--report_column with --findings_column or --impression_column" in text
    assert "columns missing: Id (--id_column), Text (--report_column), Scan (--volume_column)" in text
    assert "it has Accession, Patient, Findings, Impression, Emphysema, Path; name these" in text
    with pytest.raises(SourceError, match="neither reports nor labels are asked for"):
        ct_folder.build(scans, path, **ASKED)


def test_rows_at_once(scans, tmp_path):
    rows = [
        *ROWS,
        ("007", "p5", "x", "", "maybe", ""),
        ("", "", "x", "", "0", "011.nii.gz"),
        ("013", "p6", "x", "", "1", "013.nii"),
    ]
    path = write_table(tmp_path / "t.csv", rows)
    with pytest.raises(SourceError) as raised:
        ct_folder.build(scans, path, **ASKED, **SECTIONS, labels_columns=("Emphysema",), volume_column="Path")
    text = str(raised.value)
    assert "Accession occurs more than once: 007" in text
    assert "Accession is blank: row 9" in text and "Patient is blank: row 9" in text and "Path is blank: row 8" in text
    assert "column Emphysema is neither 0 nor 1: 007 ('maybe')" in text
    assert "image files missing (1): 013.nii" in text


def test_unreadable_tables(scans, tmp_path):
    latin, empty, header, excel = (tmp_path / name for name in ("latin.csv", "empty.csv", "header.csv", "broken.xlsx"))
    write_table(latin, [("1", "p1", "Größe normal", "", "0", "x")], encoding="latin-1")
    empty.touch()
    write_table(header, [])
    for path, told in (
        (latin, "is not UTF-8 text"),
        (empty, "cannot be read"),
        (header, "holds no row"),
        (tmp_path / "none.csv", "none.csv: cannot be read"),
    ):
        with pytest.raises(SourceError, match=told):
            ct_folder.build(scans, path, **ASKED, **SECTIONS)
    excel.write_bytes(b"PK no workbook")
    with pytest.raises(SourceError, match=r"cannot be read|is Excel"):
        ct_folder.build(scans, excel, **ASKED, **SECTIONS)


def test_excel(scans, tmp_path):
    rows = [(*row[:4], int(row[4]) if row[4] else None, row[5]) for row in ROWS]
    pd.DataFrame(rows, columns=COLUMNS).to_excel(tmp_path / "t.xlsx", index=False)
    asked = {**ASKED, **SECTIONS, "labels_columns": ("Emphysema",)}
    assert ct_folder.build(scans, tmp_path / "t.xlsx", **asked) == ct_folder.build(scans, write_table(tmp_path / "t.csv"), **asked)
