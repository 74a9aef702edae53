"""Saliency in a scan's own grid, its key slice, and the findings that an inference writes."""

from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest
import torch

from scripts.engines.inferences.volume import VolumeInference, key_slice, located
from scripts.inferers.anatomy_classifier import AnatomyAnswer, Evidence
from scripts.inferers.volume_calibration import VolumeCalibration
from scripts.preparation.volume import prepare_volume
from scripts.readers.volume import read_volume
from scripts.reports.by_anatomy.prompts import FindingPrompts

SHAPE, PATCH = (16, 12, 10), (2, 4, 4)
# Columns: where the axes x, y, z of the stored volume run, in mm of RAS.
GRIDS = {
    "RAS": np.diag([2.0, 2.0, 2.0, 1.0]),
    "LPI": np.diag([-2.0, -2.0, -2.0, 1.0]),
    "sagittal": np.array([[0, 0, 2.0, 5], [2.0, 0, 0, -7], [0, -2.0, 0, 3], [0, 0, 0, 1]]),  # y runs from head to foot
}


@pytest.mark.parametrize(
    ("affine", "axis"),
    [
        (GRIDS["RAS"], 2),
        (GRIDS["LPI"], 2),
        (GRIDS["sagittal"], 1),
        # Slices far apart and tilted by 50 degrees: the second axis climbs steeper, though less a voxel.
        (np.array([[0.5, 0, 0, 0], [0, 0.321, -3.83, 0], [0, 0.383, 3.214, 0], [0, 0, 0, 1.0]]), 1),
    ],
)
def test_the_key_slice_is_counted_from_head_to_foot(affine, axis):
    """Weight on a grid of 1 mm, two of its slices; in the other grid the slice that runs through the heavier one's middle."""
    place = affine @ [3, 4, 5, 1]
    own = np.array([[0, 0, 1.0, place[0] - 2], [0, 1.0, 0, place[1] - 3], [1.0, 0, 0, place[2] - 6], [0, 0, 0, 1]])
    weight = np.zeros((9, 6, 5), np.float32)  # z, y, x
    weight[6, 3, 1] = weight[6, 3, 3] = 0.6
    weight[1, 5, 4] = 1
    assert key_slice(weight, own, (6, 6, 7), affine) == (3, 4, 5)[axis]
    assert key_slice(weight, own, (2, 2, 2), affine) == 1  # beyond the other grid


@pytest.fixture(params=GRIDS)
def case(request, tmp_path):
    """A scan in one of several orientations, prepared on its own voxels; one anatomy fills a box of it."""
    affine = GRIDS[request.param]
    values = np.random.default_rng(0).integers(-900, 300, SHAPE).astype(np.int16)
    anatomies = np.zeros(SHAPE, np.uint8)
    anatomies[3:14, 2:10, 2:8] = 1
    nib.save(nib.Nifti1Image(values, affine), tmp_path / "v.nii.gz")
    volume = read_volume(tmp_path / "v.nii.gz")
    prepared = prepare_volume(volume, anatomies, (2, 2, 2), (4, 8, 8))
    return {
        "case_id": "v",
        "image": torch.from_numpy(prepared.scaled())[None],
        "anatomy_mask": torch.from_numpy(prepared.mask)[None],
        "record": {"image": str(tmp_path / "v.nii.gz")},
        "prepared_affine": prepared.affine,
        "native_shape": volume.values.shape,
        "native_affine": volume.affine,
    }


def evidence_at(case, place, value=3.0):
    """Evidence in one token of a window that begins at voxel (1, 2, 2) of the prepared volume."""
    tokens = torch.full((3, 2, 2), -1.0)
    tokens[place] = value
    window = tuple(slice(start, start + side * 2) for start, side in zip((1, 2, 2), (3, 4, 4), strict=True))
    return Evidence(window, tokens, PATCH)


def test_saliency_lies_in_the_scan_where_it_lay_in_the_prepared_volume(case):
    found = located(evidence_at(case, (1, 0, 1)), case, 1)
    image = found["saliency"]
    assert image.shape == SHAPE and np.allclose(image.affine, case["native_affine"])
    assert image.get_data_dtype() == np.uint8
    saliency = image.get_fdata() / image.get_fdata().max()
    centre = np.array([1 + 2 + 0.5, 2 + 1.5, 2 + 4 + 1.5])  # of the token, voxels (z, y, x) of the prepared volume
    native = np.linalg.inv(case["native_affine"]) @ case["prepared_affine"] @ [*centre, 1]
    places = np.argwhere(saliency > 0.5)
    assert np.abs(places.mean(0) - native[:3]).max() < 1
    axis = int(np.abs(case["native_affine"][2, :3]).argmax())
    assert found["key_slice"] in np.unique(places[:, axis])


def test_the_key_slice_goes_through_the_anatomy(case):
    """Evidence in one token of four voxels; the anatomy in one slice of it, then nowhere."""
    evidence, slices = evidence_at(case, (1, 0, 1)), set()
    for level in (3, 4):
        case["anatomy_mask"] = torch.zeros_like(case["anatomy_mask"])
        case["anatomy_mask"][0, level] = 2
        native = np.linalg.solve(case["native_affine"], case["prepared_affine"] @ [level, 3.5, 7.5, 1])
        axis = int(np.abs(case["native_affine"][2, :3]).argmax())
        assert abs(located(evidence, case, 2)["key_slice"] - native[axis]) <= 0.5
        slices.add(located(evidence, case, 2)["key_slice"])
    assert len(slices) == 2 and "key_slice" in located(evidence, case, 9)


def test_saliency_is_a_share_in_255_steps(case, tmp_path):
    image = located(evidence_at(case, (1, 0, 1)), case, 1)["saliency"]
    nib.save(image, tmp_path / "s.nii.gz")
    values = nib.load(tmp_path / "s.nii.gz").get_fdata()
    assert 0.9 < values.max() <= 1 + 1e-6 and values.min() == 0
    assert np.abs(values * 255 - np.rint(values * 255)).max() < 1e-3


def test_evidence_against_alone_is_no_place(case):
    assert located(evidence_at(case, (1, 0, 1), value=-2.0), case, 1) == {}


PROMPTS = [
    FindingPrompts(label, "lung", (f"{label}.",), (f"No {label}.",)) for label in ("Nodule", "Opacity", "Emphysema", "Effusion")
]


class Classifier:
    """Answers with what it was given, and shows that it was asked for evidence."""

    prompts = PROMPTS
    network = SimpleNamespace(temperature=torch.tensor(0.1), anatomies=["heart", "lung"])

    def __init__(self, scores, evidence):
        self.answer = AnatomyAnswer(torch.tensor(scores), evidence)

    def __call__(self, image, mask, evidence=False):
        assert evidence and image.shape[1:] == mask.shape
        return self.answer


def test_findings_of_a_volume(case, tmp_path):
    """Nodule above its threshold, Opacity below its own, Emphysema above one half, Effusion without its anatomy."""
    here = evidence_at(case, (0, 0, 0))
    classifier = Classifier([1.0, 1.0, 0.1, torch.nan], [here, here, here, None])
    calibration = VolumeCalibration({"Nodule": 2.0}, {"Nodule": -3.0}, {"Nodule": 0.7, "Opacity": 0.8})
    engine = VolumeInference(classifier, calibration, device="cpu", val_data_loader=[])
    found = engine.findings(case)
    assert [finding["label"] for finding in found] == ["Nodule", "Opacity", "Emphysema"]
    nodule, opacity, emphysema = found
    sigmoid = 1 / (1 + np.exp(-np.array([2 * 1.0 - 3, 1.0, 0.1])))
    assert [finding["probability"] for finding in found] == pytest.approx(sigmoid)
    # Thresholds are of the network's own probability, .73 here, and not of the calibrated one, .27.
    assert "saliency" in nodule and "key_slice" in nodule and "saliency" not in opacity and "saliency" in emphysema
    assert nodule["confidence"] == pytest.approx(1 - sigmoid[0]) and opacity["confidence"] == pytest.approx(sigmoid[1])
    assert nodule["anatomy"] == "lung" and nodule["text"] == "Nodule." and nodule["image_index"] == 0
