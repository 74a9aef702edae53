"""A hospital's exams: tables and folders as hospitals write them, videos, everything that is wrong told at once."""

import logging
import re

import cv2
import numpy as np
import pandas as pd
import pytest

from scripts.__main__ import main
from scripts.datalists.datalist import check_datalist, load_datalist
from scripts.datalists.sources import endoscopy
from scripts.files.errors import SourceError
from scripts.readers.video import read_video_frames
from tests.readers.test_video import scene, write_clip, write_video

HEADER = "exam_id,patient_id,report,label,site"


def still(path, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), scene(seed))


@pytest.fixture
def hospital(tmp_path, table):
    """Ten exams of eight patients, a folder each."""
    rows = []
    for number in range(10):
        for picture in (1, 2, 10):
            still(tmp_path / "images" / f"e{number}" / f"{picture}.jpg", number)
        label = ("normal", "BH", "carcinoma", "")[number % 4]
        rows.append(f"e{number},p{number % 8},Mass {number}.,{label},A")
    return tmp_path / "images", table(tmp_path / "exams.csv", HEADER, *rows)


def labelled(**options):
    return {"label_column": "label", "labels": ("normal=NOR", "carcinoma=NPC"), "site_column": "site", **options}


def records_of(splits):
    return {record["exam_id"]: record for records in splits.values() for record in records}


def names(record):
    return [image.rsplit("/", 1)[-1] for image in record["images"]]


def test_one_record_a_row_and_images_in_their_order(hospital):
    splits = endoscopy.build(*hospital, **labelled())
    records = records_of(splits)
    assert len(records) == 10 and all(splits.values())
    assert names(records["e0"]) == ["1.jpg", "2.jpg", "10.jpg"]
    assert [records[f"e{number}"].get("label") for number in range(4)] == ["NOR", "BH", "NPC", None]
    assert records["e3"] == {
        "exam_id": "e3",
        "patient_id": "p3",
        "images": records["e3"]["images"],
        "report": "Mass 3.",
        "site": "A",
    }
    homes = {}
    for split, entries in splits.items():
        for entry in entries:
            assert homes.setdefault(entry["patient_id"], split) == split


def test_shares_and_seed(hospital):
    splits = endoscopy.build(*hospital, shares=("0.5", "0.25", "0.25"))
    assert [len(splits[name]) for name in ("training", "validation", "test")] in ([5, 3, 2], [5, 2, 3])
    patients = {seed: {r["patient_id"] for r in endoscopy.build(*hospital, seed=seed)["test"]} for seed in range(6)}
    assert endoscopy.build(*hospital, seed=3) == endoscopy.build(*hospital, seed=3)
    assert len({frozenset(chosen) for chosen in patients.values()}) > 1


def test_the_command_line_writes_a_datalist_without_faults(hospital, tmp_path, monkeypatch, capsys):
    output = tmp_path / "out" / "datalist.json"
    command = ["scripts", "datalist", "endoscopy", "--source_dir", hospital[0], "--table", hospital[1], "--output", output]
    command += ["--label_column", "label", "--labels", "normal=NOR,carcinoma=NPC", "--shares", "0.4,0.3,0.3"]
    monkeypatch.setattr("sys.argv", list(map(str, command)))
    assert main() == 0, capsys.readouterr().err
    assert check_datalist(output, progress=False) == []
    assert load_datalist(output).domain.name == "nasal" and "no fault in 10 records" in capsys.readouterr().out


def test_a_table_with_other_columns_and_patterns_by_patient_or_prefix(tmp_path, table):
    path = tmp_path / "export.csv"
    rows = [f"{n};Z{n};Nodule.;{split}" for n, split in ((1, "train"), (10, "Val"), (2, "TEST"))]
    table(path, "Accession;Patient;Text;Set", *rows)
    for number in (1, 10, 2):
        still(tmp_path / "by_patient" / f"Z{number}" / str(number) / "a.png")
        still(tmp_path / "by_prefix" / f"{number}_a.jpg")
    columns = {"exam_column": "Accession", "patient_column": "Patient", "report_column": "Text", "split_column": "Set"}
    for folder, pattern, name in (("by_patient", "{patient}/{exam}/*.png", "a.png"), ("by_prefix", "{exam}_*.jpg", "{}_a.jpg")):
        splits = endoscopy.build(tmp_path / folder, path, images=pattern, **columns)
        assert {split: [record["exam_id"] for record in entries] for split, entries in splits.items()} == {
            "training": ["1"],
            "validation": ["10"],
            "test": ["2"],
        }
        assert names(splits["validation"][0]) == [name.format(10)]


def test_images_named_by_the_table(tmp_path, table):
    for number in range(3):
        still(tmp_path / "images" / f"IMG{number}.png", number)
        still(tmp_path / "images" / "more" / f"{number}.bmp", number)
    rows = [f'e{n},p{n},Polyp.,"more\\{n}.bmp; IMG{n}.png"' for n in range(3)]
    path = table(tmp_path / "exams.csv", "exam_id,patient_id,report,files", *rows)
    records = records_of(endoscopy.build(tmp_path / "images", path, images_column="files"))
    assert names(records["e1"]) == ["1.bmp", "IMG1.png"]


def test_ids_with_signs_of_patterns_are_taken_as_they_are(tmp_path, table):
    for exam in ("a[1]", "b*", "bb"):
        still(tmp_path / "images" / exam / "1.png")
    rows = [f"{exam},p-{exam},Polyp.,," for exam in ("a[1]", "b*", "bb")]
    records = records_of(endoscopy.build(tmp_path / "images", table(tmp_path / "exams.csv", HEADER, *rows)))
    assert {exam: len(record["images"]) for exam, record in records.items()} == {"a[1]": 1, "b*": 1, "bb": 1}


def test_excel(hospital):
    path = hospital[1].with_suffix(".xlsx")
    pd.read_csv(hospital[1], dtype=str).to_excel(path, index=False)
    assert endoscopy.build(hospital[0], path, **labelled()) == endoscopy.build(*hospital, **labelled())


def test_everything_wrong_is_told_at_once(hospital, table):
    folder, path = hospital
    lines = path.read_text().splitlines()
    lines[2] = "e1,p1,,BH,A"
    lines[3] = "e2,p2,Mass.,sarcoma,A"
    lines += ["e3,p3,Mass.,BH,A", "ghost,p20,Mass.,BH,A"]
    table(path, *lines)
    still(folder / "stray" / "1.png")
    (folder / "e4" / "9.mp4").write_bytes(b"no video" * 50)
    with pytest.raises(SourceError) as caught:
        endoscopy.build(folder, path, **labelled())
    text = str(caught.value)
    for words in (
        "exam_id occurs more than once: e3",
        "unknown labels: sarcoma (1 exams)",
        "exams without images (1): ghost",
        "images without a row in the table (1): stray/1.png",
        "exams with an empty report (1): e1",
        "unreadable videos or DICOM files (1)",
        "e4/9.mp4",
    ):
        assert words in text, (words, text)
    assert re.search(r"files of several exams: e3/1\.jpg \(e3, e3\)", text)


def test_a_patient_in_two_splits_and_unknown_splits(tmp_path, table):
    for number in range(4):
        still(tmp_path / "images" / f"e{number}" / "1.png")
    rows = [f"e{n},p{n // 2},Mass.,{split}" for n, split in enumerate(("train", "test", "later", ""))]
    path = table(tmp_path / "exams.csv", "exam_id,patient_id,report,split", *rows)
    with pytest.raises(SourceError) as caught:
        endoscopy.build(tmp_path / "images", path, split_column="split")
    text = str(caught.value)
    assert "patients in several splits: p0 (test, training)" in text
    assert "unknown splits: later (1 exams), (blank) (1 exams)" in text


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"labels": ("normal=OK",)}, "--labels not understood: normal=OK"),
        ({"shares": ("0.5", "half", "0.5")}, "--shares 0.5,half,0.5"),
        ({"shares": (0.5, 0.4, 0.4)}, "--shares 0.5,0.4,0.4"),
        ({"frame_seconds": 0.0}, "--frame_seconds 0.0"),
        ({"report_column": "Befund"}, "Befund (--report_column)"),
    ],
)
def test_options_that_make_no_sense(hospital, options, words):
    with pytest.raises(SourceError, match=re.escape(words)):
        endoscopy.build(*hospital, **options)


def test_incomplete_exams_are_left_out_when_asked(hospital, table, caplog):
    folder, path = hospital
    lines = path.read_text().splitlines()
    table(path, *lines[:2], "e1,p1,,BH,A", *lines[3:], "ghost,p20,Mass.,BH,A")
    still(folder / "stray" / "1.png")
    for file in (folder / "e2").iterdir():
        file.unlink()
    (folder / "e2" / "only.avi").write_bytes(b"no video" * 50)
    (folder / "e3" / "broken.mp4").write_bytes(b"no video" * 50)
    with caplog.at_level(logging.WARNING):
        records = records_of(endoscopy.build(folder, path, skip_missing=True))
    assert sorted(records) == ["e0", *(f"e{n}" for n in range(3, 10))]
    assert names(records["e3"]) == ["1.jpg", "2.jpg", "10.jpg"]
    for words in ("exams without images (1)", "exams with an empty report (1)", "unreadable videos or DICOM files (2)"):
        assert words in caplog.text
    assert "ghost" not in caplog.text  # ids may name patients


@pytest.fixture
def filmed(hospital):
    """The hospital, with a video, a multi-frame and a single DICOM file named as archives name them."""
    folder, path = hospital
    write_video(folder / "e0" / "20.avi", [scene(number) for number in range(6)])
    write_clip(folder / "e1" / "1.2.840.10008.1", [scene(number) for number in range(3)])
    write_clip(folder / "e2" / "single.dcm", [scene(7)])
    (folder / "e2" / "notes.txt").write_text("no image")
    (folder / "e2" / ".DS_Store").write_bytes(b"no image")
    return folder, path


def test_frames_of_videos_and_dicom_become_images(filmed, tmp_path, monkeypatch):
    frames = tmp_path / "frames"
    with pytest.raises(SourceError, match="--frames_dir"):
        endoscopy.build(*filmed)
    splits = endoscopy.build(*filmed, frames_dir=frames, frame_seconds=0.2)
    records = records_of(splits)
    assert names(records["e0"]) == ["1.jpg", "2.jpg", "10.jpg", "0000000.png", "0000002.png", "0000004.png"]
    assert names(records["e1"])[:3] == ["0000000.png", "0000001.png", "0000002.png"] and len(records["e1"]["images"]) == 6
    assert names(records["e2"]) == ["1.jpg", "2.jpg", "10.jpg", "single.dcm"]
    (read,) = read_video_frames(filmed[0] / "e0" / "20.avi", {2})
    assert np.array_equal(cv2.imread(records["e0"]["images"][4])[..., ::-1], read[1])

    def decode(*_):
        raise AssertionError("decoded again")

    monkeypatch.setattr(endoscopy, "choose_frames", decode)
    assert endoscopy.build(*filmed, frames_dir=frames, frame_seconds=0.2) == splits
    with pytest.raises(AssertionError, match="decoded again"):
        endoscopy.build(*filmed, frames_dir=frames, frame_seconds=0.4)


def test_frames_below_the_images_are_not_taken_for_images(filmed):
    frames = filmed[0] / "frames"
    first = endoscopy.build(*filmed, frames_dir=frames)
    assert endoscopy.build(*filmed, frames_dir=frames) == first
    with pytest.raises(SourceError, match="lies in --frames_dir"):
        endoscopy.build(*filmed, frames_dir=filmed[0])


def test_an_interrupted_extraction_is_done_again_in_whole(filmed, tmp_path, monkeypatch):
    frames = tmp_path / "frames"
    written = []

    def write(name, picture):
        if len(written) == 1:
            raise KeyboardInterrupt
        written.append(name)
        return cv2.imencode(".png", picture)[1].tofile(name) is None

    with monkeypatch.context() as patched:
        patched.setattr(endoscopy.cv2, "imwrite", write)
        with pytest.raises(KeyboardInterrupt):
            endoscopy.build(*filmed, frames_dir=frames, frame_seconds=0.2)
    assert not list(frames.rglob("frames.json")) and len(list(frames.rglob("*.png"))) == 1
    assert not list(frames.rglob(".*"))
    records = records_of(endoscopy.build(*filmed, frames_dir=frames, frame_seconds=0.2))
    assert len(records["e0"]["images"]) == 6


def test_a_video_that_changes_is_taken_anew(filmed, tmp_path):
    frames = tmp_path / "frames"
    assert len(records_of(endoscopy.build(*filmed, frames_dir=frames, frame_seconds=0.2))["e0"]["images"]) == 6
    write_video(filmed[0] / "e0" / "20.avi", [scene(number) for number in range(9)])
    assert len(records_of(endoscopy.build(*filmed, frames_dir=frames, frame_seconds=0.2))["e0"]["images"]) == 8
    few = records_of(endoscopy.build(*filmed, frames_dir=frames, frame_seconds=0.2, max_frames=2))["e0"]
    assert names(few)[3:] == ["0000000.png", "0000004.png"]
