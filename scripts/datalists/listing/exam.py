"""Exams named on a command line, as records for an inference."""

from pathlib import Path

from scripts.datalists.datalist import load_datalist
from scripts.files.errors import UserError
from scripts.readers.film_dicom import DICOM_ENDINGS
from scripts.readers.frame import STILL_ENDINGS

IMAGE_ENDINGS = (*STILL_ENDINGS, *DICOM_ENDINGS)


def exam_records(exams: str | Path) -> list[dict]:
    """Records for one image, one exam, several exams, or all exams of a datalist.

    Args:
        exams: an image; a folder of images, which is one exam; a folder of such folders, each an exam; a datalist (.json), or the
            folder of a datalist.json.

    Returns:
        records with exam_id, patient_id and images, in the order of their names; of folders both ids are the folder's name.

    Raises:
        UserError: nothing there, a folder without images, images and folders side by side, or a datalist of another task.
    """
    path = Path(exams)
    if (path / "datalist.json").is_file():
        path /= "datalist.json"
    if path.suffix == ".json":
        datalist = load_datalist(path)
        if datalist.task != "nasal":
            raise UserError(f"{path} is a datalist of task '{datalist.task}': give one of task 'nasal'")
        return [record for records in datalist.splits.values() for record in records]
    if path.is_file():
        return [_record(path.stem, [path])]
    if not path.is_dir():
        raise UserError(f"{exams} does not exist: give an image, a folder of images, a folder of such folders, or a datalist")
    own, folders = _images(path), {folder: _images(folder) for folder in sorted(path.iterdir()) if folder.is_dir()}
    folders = {folder: images for folder, images in folders.items() if images}
    if own and folders:
        raise UserError(f"{exams} holds images and folders of images: is it one exam, or are its folders exams? Move either away")
    if not own and not folders:
        raise UserError(f"{exams} holds no image: looked for {', '.join(IMAGE_ENDINGS)}, in it and in its folders")
    return [_record(path.resolve().name, own)] if own else [_record(folder.name, images) for folder, images in folders.items()]


def _images(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in IMAGE_ENDINGS and file.is_file())


def _record(name: str, images: list[Path]) -> dict:
    return {"exam_id": name, "patient_id": name, "images": [str(image.resolve()) for image in images]}
