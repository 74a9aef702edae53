"""Reports without names, dates and numbers, with all else left; headers that name a patient; names burnt into pixels."""

# ruff: noqa: RUF001 - Chinese has marks of its own

import shutil

import cv2
import numpy as np
import pytest
from pydicom import dcmread

from integrations.dicom.deidentify import identifiers_of, refuse_burnt_in, scrub_report
from integrations.dicom.display import render_image
from scripts.cases.domain import read_domain
from scripts.files.read_error import ReadError

FILMS, EXAMS = read_domain("cxr"), read_domain("nasal")


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        ("Patient Name: John Smith  MRN: 1234567 Findings: clear.", "[name]  [number] Findings: clear."),
        ("Patient: SMITH, JOHN A.\nLungs clear.", "[name]\nLungs clear."),
        ("Dictated by: J. Smith MD. Lungs clear.", "[name]. Lungs clear."),
        ("Electronically signed by Anna van der Berg, MD", "Electronically [name]"),
        ("Referring physician: Dr. John Smith\nChest CT.", "[name]\nChest CT."),
        ("Discussed with Dr. O'Neill at 10:30 AM.", "Discussed with [name] at [time]."),
        ("Compared with CT of 02/13/09.", "Compared with CT of [date]."),
        ("Compared with 2019-03-05 and 20190305.", "Compared with [date] and [date]."),
        ("Seen March 5, 2020, 5 Mar 2020 and in March 2020.", "Seen [date], [date] and in [date]."),
        ("Colonic resection in 11/08.", "Colonic resection in [date]."),
        ("Untersucht am 31.12.2024.", "Untersucht am [date]."),
        ("Call 555-123-4567 or (555) 123-4567.", "Call [number] or [number]."),
        ("SSN 123-45-6789, accession no. A12345.", "[number], [number]."),
        ("Mail a.b@c.org or see https://x.org/1.", "Mail [address] or see [address]"),
        ("A 93-year-old woman, aged 101.", "A over 89-year-old woman, aged over 89."),
        ("姓名：张三 性别：男 住院号：A123456 2023年5月3日检查", "[name] 性别：男 [number] [date]检查"),
        ("报告医师：李四；鼻咽部光滑。", "[name]；鼻咽部光滑。"),
    ],
)
def test_what_names_a_patient_goes(text, scrubbed):
    assert scrub_report(text) == scrubbed
    assert scrub_report(scrubbed) == scrubbed


@pytest.mark.parametrize(
    "text",
    [
        "Nodule of 12 x 8.5 mm in the right upper lobe, series 3, image 45.",
        "Fracture of T11/12 and L4/5; ribs 7-9.",
        "A 68-year-old man, 40 pack years, since 2019.",
        "Density -1000 to 400 HU, 1.25 mm slices, 512 x 512 x 300 voxels.",
        "No pleural effusion. Heart of normal size.",
        "Mass at 3 o'clock, 2/6 murmur, grade 3+4.",
        "鼻咽部光滑，未见新生物。左侧下鼻甲肥大，大小约2.5cm×1.8cm。",
        "Aorta of 4.1 cm. May represent atelectasis; 3 March fractures are not seen in 10% to 20.",
    ],
)
def test_medicine_stays(text):
    assert scrub_report(text) == text


def test_known_names_go_in_every_spelling():
    names = ["Brown^Anna Maria", "CRLM-CT-1004", "张三"]
    text = "BROWN, ANNA MARIA (crlm-ct-1004): Anna Maria Brown has a brown stone; Mrs Brown agrees. 张三诉头痛。 Annals."
    scrubbed = scrub_report(text, names)
    assert scrubbed == "[name] ([name]): [name] has a brown stone; Mrs [name] agrees. [name]诉头痛。 Annals."


def test_header_identifiers_leave_the_report(shared_data):
    path = shared_data / "dicom" / "pydicom" / "CT_small.dcm"
    header = dcmread(path)
    names = identifiers_of(path)
    assert str(header.PatientName) in names and header.PatientID in names
    scrubbed = scrub_report(f"Study of {header.PatientName}, {header.PatientID}, at {header.InstitutionName}.", names)
    assert scrubbed == "Study of [name], [name], at [name]."


def test_no_dicom_has_no_identifiers(tmp_path):
    (tmp_path / "film.png").write_bytes(b"\x89PNG")
    assert identifiers_of(tmp_path / "film.png") == ()


@pytest.fixture
def burnt_in(shared_data, tmp_path):
    """A film whose header says that names are burnt in."""
    header = dcmread(shared_data / "dicom" / "derived_cxr" / "mono2_12bit.dcm")
    header.BurnedInAnnotation = "YES"
    header.save_as(tmp_path / "burnt.dcm")
    return tmp_path / "burnt.dcm"


def test_burnt_in_names_are_refused_unless_wanted(burnt_in, tmp_path):
    with pytest.raises(ReadError, match=r"BurnedInAnnotation YES.*--keep_phi"):
        render_image(burnt_in, tmp_path / "film.png", FILMS)
    assert not (tmp_path / "film.png").exists()
    assert render_image(burnt_in, tmp_path / "film.png", FILMS, keep_phi=True).width == 512
    with pytest.raises(ReadError, match="BurnedInAnnotation YES"):
        render_image(burnt_in, tmp_path / "exam.png", EXAMS)


def test_one_burnt_in_slice_refuses_the_series(shared_data, tmp_path):
    folder = tmp_path / "series"
    shutil.copytree(shared_data / "dicom" / "series_crlm-ct-1004", folder)
    refuse_burnt_in(folder)
    header = dcmread(folder / "1-18.dcm")
    header.BurnedInAnnotation = "YES"
    header.save_as(folder / "1-18.dcm")
    with pytest.raises(ReadError, match="BurnedInAnnotation YES"):
        refuse_burnt_in(folder)
    header.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    header.save_as(folder / "1-18.dcm")
    refuse_burnt_in(folder)  # a capture is not shown


def test_damaged_header_is_named(tmp_path):
    (tmp_path / "x.dcm").write_bytes(b"\0" * 128 + b"DICM" + np.random.default_rng(0).bytes(300))
    with pytest.raises(ReadError, match=r"x\.dcm: is damaged DICOM"):
        refuse_burnt_in(tmp_path / "x.dcm")


def test_what_is_written_beside_the_field_of_view_goes(tmp_path):
    frame = np.zeros((300, 400, 3), np.uint8)
    cv2.circle(frame, (220, 150), 140, (60, 90, 170), -1)
    cv2.putText(frame, "DOE 1960", (5, 290), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (230, 230, 230), 1)
    cv2.imwrite(str(tmp_path / "frame.png"), frame)
    render_image(tmp_path / "frame.png", tmp_path / "shown.png", EXAMS)
    shown = cv2.imread(str(tmp_path / "shown.png"))
    assert frame[270:, :80].max() == 230 and shown[270:, :80].max() == 0
    assert np.array_equal(shown[100:200, 150:300], frame[100:200, 150:300])
    render_image(tmp_path / "frame.png", tmp_path / "all.png", EXAMS, keep_phi=True)
    assert np.array_equal(cv2.imread(str(tmp_path / "all.png")), frame)


def test_a_grey_image_with_a_field_of_view_loses_what_is_written_beside_it_too(tmp_path):
    frame = np.zeros((300, 400), np.uint8)
    cv2.circle(frame, (220, 150), 140, 90, -1)
    cv2.putText(frame, "DOE 1960", (5, 290), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 230, 1)
    cv2.imwrite(str(tmp_path / "frame.png"), frame)
    render_image(tmp_path / "frame.png", tmp_path / "shown.png", FILMS.model_copy(update={"field_of_view": True}))
    shown = cv2.imread(str(tmp_path / "shown.png"), cv2.IMREAD_UNCHANGED)
    assert shown.shape == frame.shape and frame[270:, :80].max() == 230 and shown[270:, :80].max() == 0
    assert shown[150, 220] > 0
