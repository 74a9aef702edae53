"""Preparing CT volumes, and the file formats that prepared ones could be kept in.

    python -m tests.benchmarks volumes

"ours" reads a volume and its mask as NIfTI, prepares and saves them; "plain" does what a short script would: nibabel's float64
voxels, scipy.ndimage.zoom, crop, scaling, float32 in .npy. One process, one volume of 512 x 512 x 300. Formats hold one prepared
volume with CT's noise; files lie in the system's cache, so reading is decoding; a window is a random crop's half of each side.
"""

import gzip
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from scipy.ndimage import gaussian_filter, zoom

from scripts.preparation.volume import MARGIN, MIN_SIZE, SPACING, STEPS, WINDOW, PreparedVolume, prepare_volume, read_prepared
from scripts.readers.volume import read_anatomies, read_volume
from tests.benchmarks.measure import GIB, extra_memory, print_table, seconds

RAW, SMALL_RAW = (512, 512, 300), (64, 64, 32)
NATIVE = np.diag([-0.7, -0.7, 1.0, 1.0])
HALF = tuple(slice(side // 4, side // 4 + side // 2) for side in MIN_SIZE)


def make_raw(shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """A body of soft tissue with two lungs, HU int16 with noise of 25 HU, and four anatomies, uint8; both [X, Y, Z]."""
    x, y, z = (np.linspace(-1, 1, side)[:, None, None] for side in shape)
    x, y, z = x, y.transpose(1, 0, 2), z.transpose(2, 1, 0)
    body = x**2 / 0.8 + y**2 / 0.5 < 1
    lungs = ((np.abs(x) - 0.4) / 0.3) ** 2 + (y / 0.45) ** 2 + (z / 0.9) ** 2 < 1
    heart = (x / 0.35) ** 2 + ((y + 0.15) / 0.3) ** 2 + ((z + 0.2) / 0.4) ** 2 < 1
    values = np.where(body, np.float32(40), np.float32(-1000)) + np.where(lungs & ~heart, np.float32(-890), np.float32(0))
    anatomies = lungs.astype(np.uint8)
    anatomies[heart] = 2
    noise = gaussian_filter(np.random.default_rng(0).normal(0, 60, shape).astype(np.float32), 0.7)
    return np.rint(values + noise).clip(-1024, 3071).astype(np.int16), anatomies


def write_raw(folder: Path, shape: tuple[int, int, int]) -> tuple[Path, Path]:
    paths = folder / "ct.nii.gz", folder / "mask.nii.gz"
    for path, voxels in zip(paths, make_raw(shape), strict=True):
        nib.save(nib.Nifti1Image(voxels, NATIVE), path)
    return paths


def make_ours(image: Path, mask: Path) -> Callable[[], None]:
    def prepare() -> None:
        volume = read_volume(image)
        prepared = prepare_volume(volume, read_anatomies(mask, volume))
        prepared.save(image.with_name("ours.nii"), image.with_name("ours_mask.nii.gz"))

    return prepare


def make_plain(image: Path, mask: Path) -> Callable[[], None]:
    def prepare() -> None:
        scan, labels = nib.load(image), nib.load(mask)
        factors = np.abs(np.diag(scan.affine)[:3]) / SPACING
        values = zoom(scan.get_fdata(), factors, order=1).transpose(2, 1, 0)
        anatomies = zoom(labels.get_fdata(), factors, order=0).transpose(2, 1, 0)
        part = tuple(
            slice(max(0, found.min() - more), found.max() + more + 1)
            for found, more in zip(np.nonzero(anatomies), MARGIN, strict=True)
        )
        scaled = np.clip((values[part] - WINDOW[0]) / (WINDOW[1] - WINDOW[0]), 0, 1).astype(np.float32)
        missing = [max(0, least - side) for least, side in zip(MIN_SIZE, scaled.shape, strict=True)]
        padding = [(count // 2, count - count // 2) for count in missing]
        np.save(image.with_name("plain.npy"), np.pad(scaled, padding))
        np.save(image.with_name("plain_mask.npy"), np.pad(anatomies[part].astype(np.uint8), padding))

    return prepare


def make_prepared() -> PreparedVolume:
    values, anatomies = (array.T for array in make_raw(MIN_SIZE[::-1]))
    fractions = np.random.default_rng(1).random(MIN_SIZE)  # as resampling leaves them
    return PreparedVolume(np.rint((values + fractions).clip(*WINDOW) * STEPS).astype(np.int16), anatomies, np.eye(4), WINDOW)


def formats(folder: Path) -> dict[str, tuple[Path, Callable[[], None], Callable[[tuple], np.ndarray]]]:
    """Of each format its file, what writes it, and what reads a part of it."""
    prepared = make_prepared()
    image = np.ascontiguousarray(prepared.image)
    steps_of_window = np.rint((image / STEPS - WINDOW[0]) / (WINDOW[1] - WINDOW[0]) * 255).astype(np.uint8)
    nifti, mask, npz = folder / "a.nii", folder / "a_mask.nii.gz", folder / "a.npz"

    def array(path: Path, values: np.ndarray) -> tuple:
        return path, lambda: np.save(path, values), lambda part: np.array(np.load(path, mmap_mode="r")[part])

    def packed(level: int) -> tuple:
        path = folder / f"a{level}.nii.gz"

        def write() -> None:
            with gzip.open(path, "wb", level) as file:
                file.write(nifti.read_bytes())

        def read(part: tuple) -> np.ndarray:
            return np.array(nib.load(path).dataobj.get_unscaled().T[part])

        return path, write, read

    return {
        ".nii int16 and its mask (kept)": (
            nifti,
            lambda: prepared.save(nifti, mask),
            lambda part: np.array(read_prepared(nifti, mask).image[part]),
        ),
        ".npy int16": array(folder / "a.npy", image),
        ".npy uint8, off by up to 2.9 HU": array(folder / "a8.npy", steps_of_window),
        ".nii.gz int16, level 1": packed(1),
        ".nii.gz int16, level 6": packed(6),
        ".npz compressed int16": (
            npz,
            lambda: np.savez_compressed(npz, image=image),
            lambda part: np.array(np.load(npz)["image"][part]),
        ),
    }


def print_formats(folder: Path) -> None:
    rows = []
    for name, (path, write, read) in formats(folder).items():
        times = seconds({"write": write, "read": partial(read, ...), "window": partial(read, HALF)}, repeats=3)
        size = f"{path.stat().st_size / 2**20:.1f}"
        rows.append([name, size, *(f"{times[key] * 1000:.0f}" for key in ("write", "read", "window")), ""])
    columns = ["format", "MiB", "write ms", "read ms", "read a window ms", "target"]
    print_table(f"Formats of one prepared volume, {' x '.join(map(str, MIN_SIZE))}", columns, rows)


def print_preparation(folder: Path, repeats: int = 2) -> None:
    (small := folder / "small").mkdir()
    raw, small_raw = write_raw(folder, RAW), write_raw(small, SMALL_RAW)
    makers = {"ours": make_ours, "plain": make_plain}
    torch.set_num_threads(1)  # as in a worker of preprocess-ct
    times = seconds({name: make(*raw) for name, make in makers.items()}, repeats)
    rows = []
    for name, make in makers.items():
        memory = f"{extra_memory(make, raw, small_raw) / GIB:.2f}"
        speed_up = f"{times[name] / times['ours']:.1f}x" if name != "ours" else ""
        rows.append([name, f"{times[name]:.1f}", f"{60 / times[name]:.0f}", memory, speed_up, ""])
    columns = ["what", "seconds", "volumes a minute", "GiB at the peak", "speed-up by ours", "target"]
    print_table(f"Preparing {' x '.join(map(str, RAW))} voxels of .nii.gz in one process", columns, rows)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        print_formats(Path(name))
        print_preparation(Path(name))


if __name__ == "__main__":
    main()
