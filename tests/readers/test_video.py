"""Frames of videos: intervals, blurred and repeated ones, damaged files, on videos that are drawn here."""

import cv2
import numpy as np
import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian, VLEndoscopicImageStorage, generate_uid

from scripts.files.read_error import ReadError
from scripts.readers.video import choose_frames, dicom_frame_count, probe_video, read_video_frames

RATE = 10


def scene(seed, blurred=0.0):
    """A round field of view with a texture of its own, RGB [240, 320, 3]."""
    coarse = np.random.default_rng(seed).uniform(60, 230, (24, 32, 3))
    frame = cv2.resize(coarse, (320, 240), interpolation=cv2.INTER_CUBIC)
    frame += 12 * np.random.default_rng(seed + 100).standard_normal((240, 320, 1))
    if blurred:
        frame = cv2.GaussianBlur(frame, (0, 0), blurred)
    inside = cv2.circle(np.zeros((240, 320), np.uint8), (160, 120), 110, 1, -1)
    return np.clip(frame * inside[..., None], 0, 255).astype(np.uint8)


def write_video(path, frames, rate=RATE):
    codec = {".avi": "MJPG", ".mp4": "mp4v"}[path.suffix]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), rate, frames[0].shape[1::-1])
    assert writer.isOpened()
    for frame in frames:
        writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    writer.release()
    return path


def write_clip(path, frames, frame_time=None):
    data = pydicom.Dataset()
    data.file_meta = pydicom.dataset.FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = VLEndoscopicImageStorage
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    data.PhotometricInterpretation, data.PlanarConfiguration = "RGB", 0
    data.NumberOfFrames = len(frames)
    data.Rows, data.Columns = frames[0].shape[:2]
    data.SamplesPerPixel, data.PixelRepresentation = 3, 0
    data.BitsAllocated = data.BitsStored = 8
    data.HighBit = 7
    if frame_time is not None:
        data.FrameTime = frame_time
    data.PixelData = np.stack(frames).tobytes()
    data["PixelData"].VR = "OB"
    data.save_as(path, enforce_file_format=True)
    return path


@pytest.mark.parametrize("ending", [".avi", ".mp4"])
def test_frames_come_at_the_interval_and_in_their_colours(tmp_path, ending):
    frames = [scene(number) for number in range(12)]
    path = write_video(tmp_path / f"exam{ending}", frames)
    assert choose_frames(path, seconds=0.3, most=99) == [0, 3, 6, 9]
    assert choose_frames(path, seconds=0.01, most=99) == list(range(12))
    read = dict(read_video_frames(path, {3, 9}))
    assert list(read) == [3, 9]
    inside = scene(3).max(axis=2) > 40
    for number, frame in read.items():
        difference = np.abs(frame.astype(float) - frames[number]).mean(axis=2)[inside].mean()
        swapped = np.abs(frame[..., ::-1].astype(float) - frames[number]).mean(axis=2)[inside].mean()
        assert difference < 15 < swapped


def test_blurred_frames_and_repeats_are_left_out(tmp_path):
    frames = [scene(0), scene(0), scene(1), scene(2, blurred=2.5), scene(3), scene(3), scene(3), scene(4), scene(0)]
    path = write_video(tmp_path / "exam.avi", frames)
    assert choose_frames(path, seconds=1 / RATE, most=99) == [0, 2, 4, 7, 8]


def test_a_view_that_comes_back_brighter_is_a_repeat_and_a_black_frame_is_none(tmp_path):
    black = np.zeros_like(scene(0))
    brighter = np.clip(scene(1) * 1.1, 0, 255).astype(np.uint8)
    path = write_video(tmp_path / "exam.avi", [black, scene(1), brighter, scene(2)])
    assert choose_frames(path, seconds=1 / RATE, most=99) == [1, 3]


def test_at_most_so_many_evenly_spaced(tmp_path):
    path = write_video(tmp_path / "exam.avi", [scene(number) for number in range(12)])
    assert choose_frames(path, seconds=1 / RATE, most=4) == [0, 3, 6, 9]
    assert choose_frames(path, seconds=1 / RATE, most=1) == [0]


def test_dicom_with_a_frame_time_is_sampled_and_without_one_each_frame_is_looked_at(tmp_path):
    frames = [scene(number) for number in range(6)]
    timed = write_clip(tmp_path / "timed.dcm", frames, frame_time=500)
    assert dicom_frame_count(timed) == 6
    assert choose_frames(timed, seconds=1, most=99) == [0, 2, 4]
    stills = write_clip(tmp_path / "stills.dcm", frames)
    assert choose_frames(stills, seconds=1, most=99) == list(range(6))
    (read,) = read_video_frames(timed, {4})
    assert read[0] == 4 and np.array_equal(read[1], frames[4])


def test_files_that_are_no_videos_are_told_by_name(tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video" * 100)
    for look in (probe_video, lambda path: choose_frames(path, 1, 9)):
        with pytest.raises(ReadError, match=r"broken\.mp4"):
            look(broken)
    with pytest.raises(ReadError, match=r"absent\.mp4"):
        probe_video(tmp_path / "absent.mp4")
    (tmp_path / "text.dcm").write_text("no DICOM")
    with pytest.raises(ReadError, match=r"text\.dcm"):
        dicom_frame_count(tmp_path / "text.dcm")


def test_a_video_without_anything_to_see_and_one_too_small(tmp_path):
    black = write_video(tmp_path / "black.avi", [np.zeros((64, 64, 3), np.uint8)] * 3)
    with pytest.raises(ReadError, match="nothing is to be seen"):
        choose_frames(black, 0.1, 9)
    small = write_video(tmp_path / "small.avi", [cv2.resize(scene(0), (24, 16))] * 3)
    with pytest.raises(ReadError, match="24 x 16 pixels are too small"):
        probe_video(small)


def test_a_video_cut_short_gives_what_it_has_and_a_warning(tmp_path, caplog):
    whole = write_video(tmp_path / "whole.avi", [scene(number) for number in range(20)])
    short = tmp_path / "short.avi"
    short.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    chosen = choose_frames(short, 1 / RATE, 99)
    assert 5 <= len(chosen) <= 12 and "ends early" in caplog.text


def test_real_frames_smeared_are_told_from_sharp_ones(shared_data, tmp_path):
    """Sixteen sharp frames of four larynges, every other one followed by itself smeared by 2% of its width."""
    names = [name for name in sorted((shared_data / "endoscopy" / "vocalfolds").rglob("*.png")) if "label" not in name.name]
    frames, sharp = [], []
    for index, name in enumerate(names):
        frame = cv2.imread(str(name))[..., ::-1]
        sharp.append(len(frames))
        frames.append(np.ascontiguousarray(frame))
        if index % 2:
            frames.append(np.ascontiguousarray(cv2.GaussianBlur(frame, (0, 0), 0.02 * frame.shape[1])))
    chosen = choose_frames(write_video(tmp_path / "larynx.avi", frames), 1 / RATE, 99)
    assert len(names) == 16 and set(chosen) <= set(sharp) and len(chosen) >= 14
