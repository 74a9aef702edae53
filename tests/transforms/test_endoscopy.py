"""Endoscopic pictures: read, cut to the field of view, fitted into the square, and the way back."""

import cv2
import numpy as np
import pytest
import torch
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from scripts.files.read_error import ReadError
from scripts.readers.field_of_view import find_field_of_view
from scripts.readers.frame import read_dicom_frames, read_frame
from scripts.transforms import LoadEndoscopyd, RandExamAffined, RandExamColourd
from scripts.transforms.endoscopy_view import EndoscopyView

SHAPE = (240, 320)


def picture(outline, lumen=True, text=True):
    """A frame with a field of view of one form, and the view."""
    inside = np.zeros(SHAPE, np.uint8)
    if outline == "circle":
        cv2.circle(inside, (170, 118), 100, 1, -1)
    elif outline == "ellipse":
        cv2.ellipse(inside, (160, 120), (120, 90), 0, 0, 360, 1, -1)
    else:
        cv2.fillPoly(
            inside, [np.array([[110, 20], [210, 20], [260, 70], [260, 170], [210, 220], [110, 220], [60, 170], [60, 70]])], 1
        )
    noise = np.random.default_rng(1).integers(-8, 9, (*SHAPE, 3))
    frame = np.where(inside[..., None] > 0, np.array([190, 100, 90]), 3) + noise
    frame = np.ascontiguousarray(frame.clip(0, 255).astype(np.uint8))
    if lumen:
        cv2.circle(frame, (180, 130), 45, (6, 5, 5), -1)
    if text:
        cv2.putText(frame, "12:34", (2, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (255, 255, 255), 1)
    return frame, inside > 0


@pytest.mark.parametrize("outline", ["circle", "ellipse", "octagon"])
def test_field_of_view_is_found_with_its_lumen_and_without_text(outline):
    frame, inside = picture(outline)
    found = find_field_of_view(frame)
    assert (found & inside).sum() / (found | inside).sum() > 0.94
    assert found[130, 180] and not found[:16, :50].any()


def test_a_lumen_at_the_rim_of_a_circle_is_not_cut():
    frame, inside = picture("circle")
    cv2.circle(frame, (250, 150), 35, (5, 5, 5), -1)
    found = find_field_of_view(frame)
    assert (found & inside).sum() / inside.sum() > 0.97


def test_without_dark_surroundings_it_is_the_whole_frame():
    assert find_field_of_view(np.full((60, 80, 3), 120, np.uint8)).all()
    assert find_field_of_view(np.zeros((60, 80, 3), np.uint8)).all()


def test_the_way_there_and_back():
    frame, inside = picture("circle", lumen=False, text=False)
    view = EndoscopyView(inside, 100)
    square = view.apply(frame)
    assert square.shape == (3, 100, 100) and square.min() >= 0 and square.max() <= 1
    assert square[0, 50, 50] > square[1, 50, 50] > 0.3 and square[:, 2, 2].max() == 0
    spot = np.zeros(SHAPE, bool)
    spot[100:130, 150:190] = True
    heat = view.to_native(view.mask_to_network(spot).astype(np.float32))
    assert np.array_equal(np.isnan(heat), ~inside)
    near = (np.nan_to_num(heat) > 0.5) & spot
    assert near.sum() / ((np.nan_to_num(heat) > 0.5) | spot).sum() > 0.9
    back = view.mask_to_native(view.mask_to_network(spot))
    assert (back & spot).sum() / (back | spot).sum() > 0.9
    box = [[150, 100, 40, 30]]
    assert np.allclose(view.boxes_to_native(view.boxes_to_network(box)), box)
    (x, y, width, height) = view.boxes_to_network(box)[0]
    rows, columns = np.nonzero(view.mask_to_network(spot))
    assert np.allclose([x, y, x + width, y + height], [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], atol=1)


@pytest.mark.parametrize("ending", [".png", ".jpg", ".bmp", ".tif"])
def test_stills_are_read_in_rgb(tmp_path, ending):
    frame = np.zeros((40, 50, 3), np.uint8)
    frame[..., 0], frame[20:, :, 1] = 200, 90
    cv2.imwrite(str(tmp_path / f"a{ending}"), frame[..., ::-1])
    assert np.abs(read_frame(tmp_path / f"a{ending}").astype(int) - frame).max() <= (40 if ending == ".jpg" else 0)


def dicom(path, frames):
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.77.1.1"
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = "1.2.3"
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel, dataset.PlanarConfiguration = *frames.shape[1:3], 3, 0
    dataset.PhotometricInterpretation, dataset.NumberOfFrames = "RGB", len(frames)
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    dataset.PixelData = frames.tobytes()
    dataset.save_as(path, enforce_file_format=True)


def test_dicom_of_one_frame_and_of_several(tmp_path):
    frames = np.random.default_rng(0).integers(0, 255, (3, 40, 50, 3), dtype=np.uint8)
    dicom(tmp_path / "one.dcm", frames[:1])
    dicom(tmp_path / "three.dcm", frames)
    assert np.array_equal(read_frame(tmp_path / "one.dcm"), frames[0])
    assert np.array_equal(read_dicom_frames(tmp_path / "three.dcm"), frames)
    with pytest.raises(ReadError, match="holds 3 frames"):
        read_frame(tmp_path / "three.dcm")


@pytest.mark.parametrize(("content", "says"), [(b"", "0 bytes"), (b"text", "no readable picture")])
def test_what_is_no_picture_is_refused(tmp_path, content, says):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(ReadError, match=says):
        read_frame(tmp_path / "a.png")
    with pytest.raises(ReadError, match="cannot be opened"):
        read_frame(tmp_path / "b.png")


def test_random_transforms_differ_by_picture_and_repeat_by_seed():
    images = picture("circle")[0][:224, 40:264].transpose(2, 0, 1).astype(np.float32) / 255
    exam = {"images": torch.from_numpy(np.stack([images, images]))}
    for transform in (RandExamAffined(prob=1), RandExamColourd(prob=1)):
        first = transform.set_random_state(seed=1)(exam)["images"]
        again = transform.set_random_state(seed=1)(exam)["images"]
        assert first.shape == exam["images"].shape and first.min() >= 0 and first.max() <= 1
        assert torch.equal(first, again) and not torch.equal(first[0], first[1]) and not torch.equal(first[0], exam["images"][0])
    assert torch.equal(RandExamColourd(prob=0)(exam)["images"], exam["images"])
    # Black surroundings stay black whatever the colours become.
    assert RandExamColourd(prob=1)({"images": torch.zeros(1, 3, 8, 8)})["images"].max() == 0


def test_bad_choices_are_refused():
    with pytest.raises(ValueError, match="subset"):
        LoadEndoscopyd(subset="first")


def test_real_frames(shared_data):
    folder = shared_data / "endoscopy"
    sinus = sorted((folder / "hopkins_sinus").glob("0*.jpg"))
    larynx = [path for path in (folder / "vocalfolds").glob("*/*.png") if not path.stem.endswith("label")]
    assert sinus and larynx
    for path in sinus:
        # The owner's mask lies 130 pixels beside these frames; their circle was measured by hand, it is 1059 pixels wide.
        frame = read_frame(path)
        lit, found = frame.max(axis=2) > 30, find_field_of_view(frame)
        x, _, width, _ = cv2.boundingRect(found.astype(np.uint8))
        assert (found & lit).sum() / lit.sum() > 0.99 and found.mean() < 0.45, path.name
        assert (x, x + width) == pytest.approx((465, 1524), abs=40), path.name
    for path in larynx:
        assert find_field_of_view(read_frame(path)).mean() > 0.97, path


def test_squares_from_the_cache_equal_those_made_anew(tmp_path):
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    for path in paths:
        cv2.imwrite(str(path), picture("circle")[0])
    record = {"images": [str(path) for path in paths]}
    plain = LoadEndoscopyd(size=32)(record)
    cached = LoadEndoscopyd(size=32, cache_dir=str(tmp_path / "cache"))
    for _ in range(2):
        again = cached(record)
        assert torch.equal(again["images"], plain["images"]) and "views" not in again
    assert len(list((tmp_path / "cache").rglob("*.npy"))) == 3
