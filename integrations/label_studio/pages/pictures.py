"""Pictures of images as the page shows them: rendered once, and again where the image has changed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from PIL import Image

from integrations.dicom.display import render_image
from scripts.cases.domain import Domain
from scripts.files.read_error import ReadError


def render_images(
    domain: Domain, files: Sequence[str], images: Path, folder: str, known: Sequence[Mapping[str, Any]], *, keep_phi: bool
) -> list[dict[str, Any]]:
    """Render image files.

    Args:
        files: of a case.
        images: folder that pages show files of.
        folder: of the case, below `images`.
        known: what an earlier call gave.
        keep_phi: show what stands around a field of view, and pictures with burnt-in names as well.

    Returns:
        of each picture its `file` below `images`, `width`, `height`, and `source`, the state of the file that it was made from.

    Raises:
        ReadError: a file that cannot be read, or names are burnt into it.
    """
    pictures = []
    for number, image in enumerate(files):
        file = f"{folder}/{number}.png"
        output = images / file
        try:
            state = [Path(image).stat().st_size, Path(image).stat().st_mtime_ns]
        except OSError as error:
            raise ReadError(image, f"cannot be opened ({error.strerror})") from error
        if output.is_file() and number < len(known) and known[number]["source"] == state:
            pictures.append(dict(known[number]))
            continue
        output.parent.mkdir(parents=True, exist_ok=True)
        picture = render_image(image, output, domain, keep_phi=keep_phi)
        pictures.append({"file": file, "width": picture.width, "height": picture.height, "source": state})
    return pictures


def sizes_of(pictures: Sequence[Path]) -> list[tuple[int, int]]:
    """Width and height of picture files."""
    sizes = []
    for picture in pictures:
        with Image.open(picture) as image:
            sizes.append(image.size)
    return sizes


def url_of(file: str) -> str:
    """Address of a file below the image folder."""
    return f"/data/local-files/?d={quote(file)}"
