"""Images named on a command line, as records for an inference."""

from pathlib import Path

from scripts.cases.domain import Domain, read_domain
from scripts.cases.kind import kind_of
from scripts.datalists.listing.records import datalist_records
from scripts.files.errors import UserError
from scripts.readers.image import image_endings


def image_records(images: str | Path, domain: str | Path | Domain) -> list[dict]:
    """Records for one image, for all images of a folder, or for all images of a datalist.

    Args:
        images: an image file, a folder (searched with its subfolders for the files of the domain), or a datalist (.json).
        domain: what the images are.

    Returns:
        records with study_id, patient_id and image; of single files both ids are its name without ending, of a folder's images
        the path relative to it.

    Raises:
        UserError: nothing there, a folder without images, or a datalist of another domain.
    """
    path, cases = Path(images), read_domain(domain)
    if path.suffix == ".json":
        return datalist_records(path, cases)
    kind = kind_of(cases)
    if path.is_file():
        return [kind.new_record(path.stem, path.stem, [str(path.resolve())])]
    if not path.is_dir():
        raise UserError(f"{images} does not exist: give an image, a folder of images, or a datalist")
    endings = image_endings(cases)
    found = sorted(file for file in path.rglob("*") if file.suffix.lower() in endings and file.is_file())
    if not found:
        raise UserError(f"{images} holds no image of {cases.title}: looked for {', '.join(endings)}")
    # The ending stays in the id: a folder may hold a.png and a.dcm.
    names = [(file, file.relative_to(path).as_posix()) for file in found]
    return [kind.new_record(name, name, [str(file.resolve())]) for file, name in names]
