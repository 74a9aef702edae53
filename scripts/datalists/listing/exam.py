"""Exams named on a command line, as records for an inference."""

from pathlib import Path

from scripts.cases.domain import Domain, read_domain
from scripts.cases.kind import kind_of
from scripts.datalists.listing.records import datalist_records
from scripts.files.errors import UserError
from scripts.readers.image import image_endings


def exam_records(exams: str | Path, domain: str | Path | Domain) -> list[dict]:
    """Records for one image, one exam, several exams, or all exams of a datalist.

    Args:
        exams: an image; a folder of images, which is one exam; a folder of such folders, each an exam; a datalist (.json), or the
            folder of a datalist.json.
        domain: what the exams are.

    Returns:
        records with exam_id, patient_id and images, in the order of their names; of folders both ids are the folder's name.

    Raises:
        UserError: nothing there, a folder without images, images and folders side by side, or a datalist of another domain.
    """
    path = Path(exams)
    if (path / "datalist.json").is_file():
        path /= "datalist.json"
    if path.suffix == ".json":
        return datalist_records(path, domain)
    kind, endings = kind_of(domain), image_endings(read_domain(domain))

    def record(name: str, images: list[Path]) -> dict:
        return kind.new_record(name, name, [str(image.resolve()) for image in images])

    if path.is_file():
        return [record(path.stem, [path])]
    if not path.is_dir():
        raise UserError(f"{exams} does not exist: give an image, a folder of images, a folder of such folders, or a datalist")
    own, folders = (
        _images(path, endings),
        {folder: _images(folder, endings) for folder in sorted(path.iterdir()) if folder.is_dir()},
    )
    folders = {folder: images for folder, images in folders.items() if images}
    if own and folders:
        raise UserError(f"{exams} holds images and folders of images: is it one exam, or are its folders exams? Move either away")
    if not own and not folders:
        raise UserError(f"{exams} holds no image: looked for {', '.join(endings)}, in it and in its folders")
    return [record(path.resolve().name, own)] if own else [record(folder.name, images) for folder, images in folders.items()]


def _images(folder: Path, endings: tuple[str, ...]) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in endings and file.is_file())
