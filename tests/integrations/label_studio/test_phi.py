"""Nothing that names a patient leaves: not in a request that a recording proxy sees, not in a picture."""

import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote_plus

import pytest
from pydicom import DataElement, Dataset, dcmread
from pydicom.multival import MultiValue

from integrations.label_studio.client import connect
from integrations.label_studio.errors import LabelStudioError
from integrations.label_studio.pull import pull
from integrations.label_studio.push import push
from scripts.cases.finding import Finding
from scripts.datalists.datalist import load_datalist, save_datalist
from scripts.predictions.predictions import PredictionWriter
from tests.integrations.conftest import MODEL
from tests.integrations.label_studio.faulty_proxy import FaultyProxy
from tests.integrations.label_studio.test_round_trip import submit, tasks_of
from tests.integrations.volumes import write_predictions, write_series

NAME, RECORD, ACCESSION, BIRTH, DAY = "Quindlebury^Ottoline Maud", "QX7741093", "ACC5550917", "19310412", "20230816"
DOCTOR, HOSPITAL = "Featheringay^Ambrose", "Saint Wilfreda Infirmary"
STATED = {
    "PatientName": NAME,
    "PatientID": RECORD,
    "PatientBirthDate": BIRTH,
    "StudyDate": DAY,
    "AccessionNumber": ACCESSION,
    "ReferringPhysicianName": DOCTOR,
    "InstitutionName": HOSPITAL,
    "PatientComments": f"{NAME} lives in Marrowbone Lane",
    "StudyInstanceUID": "1.2.826.0.1.3680043.8.498.77410935550917",
}
REPORT = (
    "Patient name: Ottoline Quindlebury  MRN: QX7741093\nCT of 2023-08-16, compared with 12 April 2021.\n"
    "Mrs Quindlebury, 92 years old, referred by Dr. Ambrose Featheringay of the Saint Wilfreda Infirmary (accession ACC5550917, "
    "tel. 555-091-7741). A nodule of 12 mm in the left lower lobe, series 3, image 45. QUINDLEBURY, OTTOLINE MAUD should return."
)
TELLING = (
    *("Quindlebury", "Ottoline", "Featheringay", "Ambrose", "Wilfreda", "Marrowbone", "QX7741093", "7741093", "ACC5550917"),
    *("19310412", "20230816", "2023-08-16", "12 April 2021", "555-091-7741", "77410935550917", "92 years"),
)
MIN_LETTERS = 5
"""Characters of a word that is looked for."""


def told(requests: Iterable[tuple[str, str, bytes]], words: Iterable[str]) -> set[str]:
    """Words that stand in a request, in whatever case, in its address or body, or there percent-encoded."""
    seen = "\n".join(f"{path}\n{body.decode('utf-8', 'replace')}" for _, path, body in requests).lower()
    return {word for word in words if word.lower() in seen or word.lower() in unquote_plus(seen)}


def shown(pictures: Path, words: Iterable[str]) -> set[str]:
    """Words that stand in the name or the bytes of a picture."""
    files = [file for file in pictures.rglob("*") if file.is_file()]
    assert files
    return {word for file in files for word in words if word.encode() in file.read_bytes() or word.lower() in str(file).lower()}


@pytest.fixture
def proxy(server):
    with FaultyProxy(server) as recording:
        yield recording


@pytest.fixture
def scan(tmp_path):
    """A volume whose header, file names, id and report all name its patient; gives the predictions' folder."""
    record = write_series(tmp_path / "QUINDLEBURY_OTTOLINE_QX7741093_20230816", **STATED)
    write_predictions(tmp_path / "predictions", {"Quindlebury-QX7741093-20230816": record})
    record |= {"volume_id": "Quindlebury-QX7741093-20230816", "patient_id": RECORD, "report": REPORT}
    save_datalist(tmp_path / "predictions" / "datalist.json", "ct", {"test": [record]})
    return tmp_path / "predictions"


def test_no_request_and_no_picture_names_the_patient_of_a_volume(scan, client, workspace, proxy, project, tmp_path):
    push(connect(workspace, proxy.url), workspace, scan, project, datalist=scan / "datalist.json")
    assert told(proxy.requests, TELLING) == set()
    assert told(proxy.requests, ["nodule of 12 mm in the left lower lobe, series 3, image 45", "case-"]), "medicine is sent"
    assert shown(workspace.images / project, TELLING) == set()
    (task,) = tasks_of(client, project)
    assert all(mark in task["data"]["report"] for mark in ("[name]", "[date]", "[number]", "over 89"))
    submit(client, task)
    proxy.requests.clear()
    pull(connect(workspace, proxy.url), workspace, project, tmp_path / "out")
    assert told(proxy.requests, TELLING) == set()
    (record,) = load_datalist(tmp_path / "out" / "datalist.json").split("test")
    assert (record["patient_id"], record["report"]) == (RECORD, REPORT), "here the patient is known again"


def test_keep_phi_sends_the_report_as_it_is_and_says_so(scan, workspace, proxy, project, caplog):
    push(connect(workspace, proxy.url), workspace, scan, project, datalist=scan / "datalist.json", keep_phi=True)
    assert told(proxy.requests, TELLING) >= {"Quindlebury", "QX7741093", "2023-08-16", "92 years"}
    assert "reports are sent as they are" in caplog.text
    assert shown(workspace.images / project, TELLING) == set()


def test_a_volume_with_burnt_in_names_is_refused_unless_wanted(tmp_path, workspace, proxy, project):
    record = write_series(tmp_path / "series", BurnedInAnnotation="YES")
    write_predictions(tmp_path / "predictions", {"scan": record})
    with pytest.raises(LabelStudioError, match=r"scan.*BurnedInAnnotation YES.*--keep_phi"):
        push(connect(workspace, proxy.url), workspace, tmp_path / "predictions", project)
    assert not list((workspace.images / project).rglob("*.png")) and b"scan" not in b"".join(body for *_, body in proxy.requests)
    assert push(connect(workspace, proxy.url), workspace, tmp_path / "predictions", project, keep_phi=True).new_tasks == 1


REAL = (
    "pydicom/CT_small.dcm",
    "series_crlm-ct-1004/1-18.dcm",
    "derived_cxr/mono2_12bit.dcm",
    "xrv/Fake_MONOHR1.dcm",
    "series_gantrytilting_001/IM-0001-0001.dcm",
)


def identity(path: Path) -> set[str]:
    """Everything in a header that names its patient or tells the day: names and their parts, ids, dates, unique numbers."""
    found: set[str] = set()

    def look(_: Dataset, element: DataElement) -> None:
        if element.VR in ("PN", "DA", "DT", "UI") or element.keyword in ("PatientID", "AccessionNumber", "InstitutionName"):
            for value in element.value if isinstance(element.value, MultiValue) else [element.value]:
                found.update([str(value or ""), *re.split(r"[\^ ]", str(value or ""))])

    dcmread(path, stop_before_pixels=True).walk(look)
    # What the standard itself defines, such as the kind of object, names nobody; a few characters can stand in any word.
    return {word for word in found if len(word) >= MIN_LETTERS and not word.startswith("1.2.840.10008.")}


def test_no_request_and_no_picture_names_the_patient_of_a_real_film(shared_data, client, workspace, proxy, project, tmp_path):
    records, words = [], set()
    with PredictionWriter(tmp_path / "predictions", "cxr", MODEL) as writer:
        for name in REAL:
            source = shared_data / "dicom" / name
            own = identity(source)
            assert own, "a header that tells nothing tests nothing"
            header = dcmread(source, stop_before_pixels=True)
            case = f"{header.PatientName} {header.get('StudyDate', '')} {source.stem}"
            image = tmp_path / f"{header.PatientID}_{source.name}"
            shutil.copy(source, image)
            finding = Finding("Mass", probability=0.8, confidence=0.8, image_index=0, box=[1, 1, 9, 9])
            writer.add(case, [image], [finding])
            report = f"{header.PatientName}, {header.PatientID}, {header.get('StudyDate', '')}: a mass."
            records.append({"study_id": case, "patient_id": str(header.PatientID), "image": str(image), "report": report})
            words |= own
    save_datalist(tmp_path / "predictions" / "datalist.json", "cxr", {"test": records})
    folder = tmp_path / "predictions"
    push(connect(workspace, proxy.url), workspace, folder, project, datalist=folder / "datalist.json")
    assert len(tasks_of(client, project)) == len(REAL) and len(words) > 20
    assert told(proxy.requests, words) == set()
    assert shown(workspace.images / project, words) == set()
