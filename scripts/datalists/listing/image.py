"""Films named on a command line, as records for an inference."""

from pathlib import Path

from scripts.datalists.datalist import load_datalist
from scripts.files.errors import UserError
from scripts.readers.film_dicom import DICOM_ENDINGS

FILM_ENDINGS = (".png", ".jpg", ".jpeg", *DICOM_ENDINGS)


def image_records(films: str | Path) -> list[dict]:
    """Records for one film, for all films of a folder, or for all films of a datalist.

    Args:
        films: a film's file, a folder (searched with its subfolders for PNG, JPEG and DICOM), or a datalist (.json).

    Returns:
        records with study_id, patient_id and image; of single files both ids are its name without ending, of a folder's films
        the path relative to it.

    Raises:
        UserError: nothing there, a folder without films, or a datalist of another task.
    """
    path = Path(films)
    if path.suffix == ".json":
        datalist = load_datalist(path)
        if datalist.task != "cxr":
            raise UserError(f"{films} is a datalist of task '{datalist.task}': give one of task 'cxr'")
        return [record for records in datalist.splits.values() for record in records]
    if path.is_file():
        return [_record(path, path.stem)]
    if not path.is_dir():
        raise UserError(f"{films} does not exist: give a film, a folder of films, or a datalist")
    found = sorted(file for file in path.rglob("*") if file.suffix.lower() in FILM_ENDINGS and file.is_file())
    if not found:
        raise UserError(f"{films} holds no film: looked for {', '.join(FILM_ENDINGS)}")
    # The ending stays in the id: a folder may hold a.png and a.dcm.
    return [_record(file, file.relative_to(path).as_posix()) for file in found]


def _record(file: Path, name: str) -> dict:
    return {"study_id": name, "patient_id": name, "image": str(file.resolve())}
