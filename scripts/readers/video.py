"""Which frames of an endoscopic video are worth keeping: at intervals, without blurred ones and without repeats.

A minute of video holds 1,500 frames, most of them alike and many smeared while the endoscope moves.
"""

import logging
import math
import sys
from collections.abc import Container, Iterator
from pathlib import Path

import cv2
import numpy as np
from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError

from scripts.files.read_error import ReadError
from scripts.readers.field_of_view import find_field_of_view
from scripts.readers.frame import MIN_SIDE, read_dicom_frames

logger = logging.getLogger(__name__)

VIDEO_ENDINGS = (".mp4", ".avi", ".m4v", ".mov", ".mkv", ".mpg", ".mpeg", ".wmv")

_WORKING_SIDE = 320  # pixels: compression noise is averaged away, motion blur is not
_RIM = 9  # pixels of the working size: the edge of the field of view is sharp in blurred frames too
# On 21 real frames, sharp ones had at least 0.52 of their sequence's median; smeared by 2 of 320 pixels at most 0.25 of their own.
_SHARP = 0.3
_SKETCH_SIDE = 32
# On the same frames, neighbours of one view correlated by 0.92 to 0.99, views that differ by 0.84 at most.
_ALIKE = 0.9
_USUAL_RATE, _RATES = 25.0, (1.0, 300.0)
_CUT_SHORT = 0.9  # share of the stated frames


def dicom_frame_count(path: str | Path) -> int:
    """Frames that a DICOM file's header states.

    Raises:
        ReadError: the header cannot be read.
    """
    return int(_dicom_header(path).get("NumberOfFrames") or 1)


def probe_video(path: str | Path) -> None:
    """See whether a video opens and has a first frame of some size.

    Raises:
        ReadError: it does not.
    """
    next(read_video_frames(path, {0}))


def choose_frames(path: str | Path, seconds: float, most: int) -> list[int]:
    """Frames of a video or a multi-frame DICOM file that are worth keeping, counted from 0, ascending.

    Every `seconds` one frame is looked at. Left out are those whose sharpness (variance of the Laplacian within the field of
    view) is below 0.3 of the video's median, and those that show what the last one kept shows. Of more than `most`, evenly
    spaced ones stay, the first among them. At least one frame is kept.

    Raises:
        ReadError: with the file and a reason, where no frame can be decoded.
    """
    step = max(1, round(seconds * _frame_rate(path)))
    indices, sharpness, sketches = [], [], []
    for index, frame in read_video_frames(path, range(0, sys.maxsize, step)):
        sharp, sketch = _looked_at(frame)
        indices.append(index)
        sharpness.append(sharp)
        sketches.append(sketch)
    if not any(sharpness):
        raise ReadError(path, "nothing is to be seen in any of its frames")
    least = _SHARP * float(np.median(sharpness))
    kept: list[int] = []
    for position, sharp in enumerate(sharpness):
        if 0 < sharp >= least and not (kept and _alike(sketches[kept[-1]], sketches[position])):
            kept.append(position)
    if len(kept) > most:
        kept = [kept[position] for position in np.linspace(0, len(kept), most, endpoint=False).astype(int)]
    return [indices[position] for position in kept]


def read_video_frames(path: str | Path, wanted: Container[int]) -> Iterator[tuple[int, np.ndarray]]:
    """Frames of a video or a multi-frame DICOM file with their numbers, RGB uint8 [H, W, 3]; only `wanted` ones are converted.

    Raises:
        ReadError: with the file and a reason, where none can be decoded.
    """
    path = Path(path)
    if is_video(path):
        yield from _video(path, wanted)
    else:
        frames = read_dicom_frames(path)
        _check_size(path, frames[0])
        yield from ((index, frame) for index, frame in enumerate(frames) if index in wanted)


def is_video(path: str | Path) -> bool:
    """Whether a file's name is that of a video; other files with several frames are DICOM."""
    return Path(path).suffix.lower() in VIDEO_ENDINGS


def _video(path: Path, wanted: Container[int]) -> Iterator[tuple[int, np.ndarray]]:
    capture = cv2.VideoCapture(str(path))
    try:
        if not capture.isOpened():
            raise ReadError(path, "is no video that can be decoded here; save it as MP4 (H.264)")
        index = 0
        while capture.grab():
            if index in wanted:
                ok, frame = capture.retrieve()
                if not ok:
                    break
                if index == 0:
                    _check_size(path, frame)
                yield index, cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
            index += 1
        if index == 0:
            raise ReadError(path, "not one frame of the video can be decoded; save it as MP4 (H.264)")
        stated = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        if index < _CUT_SHORT * stated:
            logger.warning("a video ends early: %d of %d frames can be decoded: %s", index, stated, path)
    finally:
        capture.release()


def _check_size(path: Path, frame: np.ndarray) -> None:
    if min(frame.shape[:2]) < MIN_SIDE:
        raise ReadError(path, f"{frame.shape[1]} x {frame.shape[0]} pixels are too small (at least {MIN_SIDE} a side)")


def _frame_rate(path: str | Path) -> float:
    """Frames a second. A DICOM file that states no rate holds stills: each is looked at."""
    if not is_video(path):
        header = _dicom_header(path)
        if header.get("FrameTime"):
            return 1000 / float(header.FrameTime)
        return float(header.get("CineRate") or header.get("RecommendedDisplayFrameRate") or 0)
    capture = cv2.VideoCapture(str(path))
    rate = capture.get(cv2.CAP_PROP_FPS)
    capture.release()
    if not math.isfinite(rate) or not _RATES[0] <= rate <= _RATES[1]:
        logger.warning("a video states %g frames a second, %g are assumed: %s", rate, _USUAL_RATE, path)
        return _USUAL_RATE
    return rate


def _dicom_header(path: str | Path) -> Dataset:
    try:
        return dcmread(path, stop_before_pixels=True)
    except (OSError, InvalidDicomError, ValueError, AttributeError) as error:
        raise ReadError(path, f"is no DICOM file that can be read ({error})") from error


def _looked_at(frame: np.ndarray) -> tuple[float, np.ndarray]:
    """A frame's sharpness, and a sketch [32, 32] of its structure, mean 0 and length 1, without shading and vignette."""
    scale = min(1, _WORKING_SIDE / max(frame.shape[:2]))
    small = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    view = find_field_of_view(small).astype(np.uint8)
    inner = cv2.erode(view, np.ones((_RIM, _RIM), np.uint8), borderValue=0).astype(bool)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    sharp = float(cv2.Laplacian(grey, cv2.CV_64F)[inner].var()) if inner.any() else 0.0
    sketch = cv2.resize(grey.astype(np.float32) * view, (_SKETCH_SIDE, _SKETCH_SIDE), interpolation=cv2.INTER_AREA)
    sketch -= cv2.GaussianBlur(sketch, (0, 0), _SKETCH_SIDE / 8)
    sketch -= sketch.mean()
    return sharp, sketch / max(float(np.linalg.norm(sketch)), 1e-6)


def _alike(one: np.ndarray, other: np.ndarray) -> bool:
    return float((one * other).sum()) > _ALIKE
