"""Headers of DICOM files, and which files of a folder are the slices of one CT scan."""

from collections.abc import Sequence
from pathlib import Path

from pydicom import Dataset, dcmread

from scripts.files.read_error import ReadError
from scripts.readers.film_dicom import is_dicom
from scripts.readers.series import SECONDARY_CAPTURE

_KIND = ("Modality", "SOPClassUID", "ImageType", "SeriesInstanceUID")


def read_headers(path: str | Path, tags: Sequence[str] | None = None) -> list[Dataset]:
    """Headers of a DICOM file, or of all DICOM files of a folder in the order of their names; none where there is no DICOM.

    Args:
        tags: keywords of the attributes that are wanted; all by default.

    Raises:
        ReadError: a file that cannot be opened, or damaged DICOM.
    """
    path = Path(path)
    files = sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else [path]
    return [header for file in files if (header := _header(file, tags)) is not None]


def read_series_headers(path: str | Path, tags: Sequence[str] | None = None) -> list[Dataset]:
    """Headers of the slices that `scripts.readers.series.read_series` makes a volume of, in the order of their names.

    Args:
        path: folder with one CT series, or one of its files, where several series share a folder.
        tags: keywords of the attributes that are wanted; all by default.

    Raises:
        ReadError: a file that cannot be opened, or damaged DICOM.
    """
    path = Path(path)
    wanted = None if tags is None else (*tags, *_KIND)
    headers = read_headers(path if path.is_dir() else path.parent, wanted)
    if not path.is_dir():
        meant = [header.get("SeriesInstanceUID") for header in read_headers(path, _KIND)]
        headers = [header for header in headers if header.get("SeriesInstanceUID") in meant]
    return [header for header in headers if _is_ct_slice(header)]


def _is_ct_slice(header: Dataset) -> bool:
    is_capture = str(header.get("SOPClassUID", "")).startswith(SECONDARY_CAPTURE)
    return (header.get("Modality") or "CT") == "CT" and not is_capture and "LOCALIZER" not in (header.get("ImageType") or ())


def _header(file: Path, tags: Sequence[str] | None) -> Dataset | None:
    try:
        with open(file, "rb") as content:
            if not is_dicom(content.read(132)):
                return None
        header = dcmread(file, force=True, stop_before_pixels=True, specific_tags=None if tags is None else list(tags))
        header.walk(lambda *_: None)  # values are parsed when first asked for: a damaged one is to be found here
        if not header and not header.file_meta:
            raise EOFError("its header says nothing")
    except OSError as error:
        raise ReadError(file, f"cannot be opened ({error.strerror or error})") from error
    except Exception as error:  # a damaged header can make pydicom fail in any way
        raise ReadError(file, f"is damaged DICOM ({type(error).__name__}: {error}); export it anew") from error
    return header
