"""The published preparation of volumes against the numbers of the published code (tests/golden/README.md)."""

import hashlib
import json

import numpy as np
import pytest

from scripts.preparation.published_volumes import published_crop, published_hounsfield, published_resize, published_window
from tests.golden.fvlm_volumes import golden_anatomies, golden_volume


@pytest.fixture(params=["1", "2"])
def case(request, fvlm_golden):
    return request.param, json.loads((fvlm_golden / "preprocess_expected.json").read_text())[request.param]


@pytest.fixture
def arrays(fvlm_golden):
    return np.load(fvlm_golden / "preprocess_expected.npz")


def check(array: np.ndarray, expected: dict, rel: float = 0) -> None:
    """Every number that the golden run kept of an array; exactly, or what does not hang on the last bit to within `rel`."""
    assert list(array.shape) == expected["shape"] and str(array.dtype) == expected["dtype"]
    assert array.sum(dtype=np.float64) == pytest.approx(expected["sum"], rel=rel or 1e-15)
    assert np.square(array, dtype=np.float64).sum() == pytest.approx(expected["sumsq"], rel=rel or 1e-15)
    assert (array.min(), array.max()) == pytest.approx((expected["min"], expected["max"]), rel=rel or 1e-15)
    box = [[int(places.min()), int(places.max()) + 1] for places in np.nonzero(array)]
    assert np.array_equal(np.transpose(box), expected["nonzero_bbox"])
    if not rel:
        assert hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest() == expected["sha256"]


def test_every_step_gives_the_published_numbers(case, arrays):
    number, expected = case
    stored, labels = golden_volume(expected)
    header = expected["metadata"]
    image = published_hounsfield(stored, header["RescaleSlope"], header["RescaleIntercept"])
    check(image.T, expected["fixed"])
    mask = golden_anatomies(labels)
    check(mask, expected["merged_mask"])

    image, mask = published_resize(image, mask, np.float32(expected["spacing_xyz"]).tolist())
    check(image, expected["resized_image_xyz"], rel=1e-7)  # its last bit may differ on another processor
    np.testing.assert_allclose(image[::7, ::7, ::3], arrays[f"{number}/resized_image_sub"], atol=1e-3)
    check(mask.astype(np.float32), expected["resized_mask_xyz"])
    assert np.array_equal(mask, arrays[f"{number}/resized_mask"])

    image, mask = published_crop(image, mask)
    check(image, expected["processed_image_zyx"], rel=1e-7)
    np.testing.assert_allclose(image[::5, ::8, ::8], arrays[f"{number}/processed_image_sub"], atol=1e-6)
    check(mask.astype(np.float32), expected["processed_mask_zyx"])
    assert np.array_equal(mask[::5, ::8, ::8], arrays[f"{number}/processed_mask_sub"])
    assert {str(value): int(count) for value, count in enumerate(np.bincount(mask.ravel()))} == expected["mask_counts"]


def test_windows_are_the_published_ones(fvlm_golden):
    cases = json.loads((fvlm_golden / "center_crop_expected.json").read_text())
    assert len(cases) == 17
    for case in cases:
        z0, z1, y0, y1, x0, x1 = case["organ_box"]
        box = (slice(z0, z1), slice(y0, y1), slice(x0, x1))
        window = published_window(box, case["volume"], case["crop"])
        assert [part.start for part in window] == case["start"] and [part.stop for part in window] == case["stop"]
        organ = np.zeros(case["volume"], bool)
        organ[box] = True
        assert (organ.sum(), organ[window].sum()) == (case["organ_voxels"], case["organ_voxels_kept"])
