import os

import pandas as pd
import pytest

from scripts.datalists.sources.tables import SourceFaults, boxes_of, files_below, keep_present, read_table
from scripts.files.errors import SourceError, UserError


@pytest.fixture
def faults(tmp_path):
    return SourceFaults("some-set", tmp_path)


def test_all_faults_at_once_with_twenty_records(faults, tmp_path):
    faults.add("a.csv", "columns missing", "take the owner's", ["x", "y"])
    faults.add("b", "films missing", "download them", range(357))
    with pytest.raises(SourceError) as raised:
        faults.stop_if_any()
    first, a, b = str(raised.value).splitlines()
    assert first == f"some-set: 2 faults in {tmp_path}"
    assert a == "  1. a.csv: columns missing: x, y. Way out: take the owner's"
    assert "18, 19, ... (20 of 357 shown). Way out" in b
    assert "20," not in b.replace("(20 of", "")
    assert issubclass(SourceError, UserError)


def test_no_fault_no_error(faults):
    faults.stop_if_any()


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz"])
def test_read_table_keeps_text_and_asked_columns(faults, table, tmp_path, name):
    path = table(tmp_path / name, "\ufeffid,other,note,late", "007,x,,NA", '1,y,"a, b",1.0')
    result = read_table(path, ("id", "note"), faults, optional=("late", "never"))
    assert result.to_dict("list") == {"id": ["007", "1"], "note": ["", "a, b"], "late": ["NA", "1.0"]}
    faults.stop_if_any()


def test_read_table_reports(faults, table, tmp_path):
    columns = table(tmp_path / "columns.csv", "id,b", "1,2")
    broken = tmp_path / "broken.csv.gz"
    broken.write_bytes(b"\x1f\x8b\x08\x00 not gzip at all")
    empty = tmp_path / "empty.csv"
    empty.write_bytes(b"")
    latin = tmp_path / "latin.csv"
    latin.write_bytes("id\nü\n".encode("latin-1"))
    for path in (columns, broken, empty, latin):
        assert read_table(path, ("id", "c") if path == columns else ("id",), faults).empty
    with pytest.raises(SourceError) as raised:
        faults.stop_if_any()
    lines = str(raised.value).splitlines()
    assert "columns.csv: columns missing: c. Way out: it has id, b;" in lines[1]
    for name, line in zip(("broken.csv.gz", "empty.csv", "latin.csv"), lines[2:], strict=True):
        assert f"{name}: cannot be read" in line


def test_boxes_are_plain_numbers_and_others_are_named(faults, tmp_path):
    frame = pd.DataFrame({"id": ["a", "b"], "x": ["1.0", "2.5"], "y": ["3", "nan"]})
    assert boxes_of(frame[:1], ("x", "y"), "id", tmp_path, faults) == [[1, 3]]
    assert isinstance(boxes_of(frame[:1], ("x", "y"), "id", tmp_path, faults)[0][0], int)
    faults.stop_if_any()
    boxes_of(frame, ("x", "y"), "id", tmp_path / "t.csv", faults)
    with pytest.raises(SourceError, match=r"t\.csv: column y is not a number: b \('nan'\)"):
        faults.stop_if_any()


def test_walk_follows_links_and_missing_files_are_counted(faults, film, tmp_path):
    film(tmp_path / "disk" / "one.PNG")
    os.symlink(tmp_path / "disk", tmp_path / "linked")
    assert list(files_below(tmp_path / "linked", (".png",), "looking")) == [str(tmp_path / "linked" / "one.PNG")]
    records = [{"image": str(tmp_path / "gone.png")}, {"image": "here"}, {"image": str(tmp_path / "gone.png")}]
    assert keep_present(records, {"here"}, "image", faults, True, "x") == [{"image": "here"}]
    faults.stop_if_any()
    keep_present(records, {"here"}, "image", faults, False, "download it")
    with pytest.raises(SourceError, match=r"image files missing \(1\): gone.png. Way out: download it, or give --skip"):
        faults.stop_if_any()
