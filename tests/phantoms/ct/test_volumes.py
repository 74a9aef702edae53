"""What phantom volumes look like: densities, organs, geometry, ground truth."""

import nibabel as nib
import numpy as np
import pytest
from nibabel.affines import apply_affine

from scripts.phantoms.ct.body import IDS
from scripts.phantoms.ct.case import PhantomVolume, make_case
from scripts.phantoms.ct.plan import BELOW_NECK, CHEST, FINDINGS, plan_volume

VOLUMES = 10


@pytest.fixture(scope="module")
def volumes() -> list[PhantomVolume]:
    return [make_case(5, "test", index) for index in range(VOLUMES)]


def centre(mask: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Centre of a mask in the world, [3]."""
    return apply_affine(affine, np.argwhere(mask).mean(0))


def test_densities_are_those_of_tissues(volumes):
    ranges = {
        "lung": (-900, -650),
        "liver": (40, 125),
        "heart": (-20, 130),
        "spine": (150, 550),
        "kidney": (0, 180),
        "trachea": (-1000, -700),
    }
    for volume in volumes:
        assert volume.hu.dtype == np.int16 and volume.hu.min() >= -1024 and volume.hu.max() <= 3071
        assert np.percentile(volume.hu, 1) < -950
        for anatomy, (low, high) in ranges.items():
            organ = np.isin(volume.mask, IDS[anatomy])
            if organ.sum() > 50:
                assert low < volume.hu[organ].mean() < high, (volume.volume_id, anatomy)
        # In the middle of the largest organ of one density.
        liver = volume.hu[volume.mask == 5]
        assert 12 < np.percentile(np.abs(liver - np.median(liver)), 50) / 0.6745 < 60


def test_all_organs_are_there_unless_the_field_of_view_ends_before(volumes):
    fields = [plan_volume(5, "test", index).field for index in range(VOLUMES)]
    assert CHEST in fields or BELOW_NECK in fields
    for field, volume in zip(fields, volumes, strict=True):
        present = {anatomy for anatomy, ids in IDS.items() if np.isin(volume.mask, ids).any()}
        if field == BELOW_NECK:
            assert present == set(IDS) - {"thyroid"}
        elif field == CHEST:
            assert {"lung", "heart", "aorta", "thyroid", "liver"} <= present and "bowel" not in present
            assert (volume.mask[:, :, :2] == 5).any()
        else:
            assert present == set(IDS), volume.volume_id


def test_grids_vary_as_real_ones_do(volumes):
    spacings = np.array([np.linalg.norm(v.acquisition.affine[:3, :3], axis=0) for v in volumes])
    assert spacings[:, :2].min() >= 2.5 and spacings[:, :2].max() <= 4 and np.ptp(spacings[:, 0]) > 0.4
    assert spacings[:, 2].min() >= 3 and spacings[:, 2].max() <= 6
    shapes = np.array([v.hu.shape for v in volumes])
    assert (shapes.min(0) >= (85, 62, 58)).all() and (shapes.max(0) <= (160, 140, 112)).all()
    assert len({v.acquisition.axes for v in volumes}) >= 3


def test_stored_arrays_lie_where_the_body_lies_whatever_the_order_of_their_axes(volumes):
    for volume in volumes:
        image = volume.acquisition.stored(volume.mask)
        assert "".join(nib.aff2axcodes(image.affine)) == volume.acquisition.axes
        mask = np.asarray(image.dataobj)
        assert mask.shape != volume.mask.shape or volume.acquisition.axes[0] in "LR"
        liver, spleen, heart, spine = (centre(np.isin(mask, ids), image.affine) for ids in ((5,), (1,), (51,), IDS["spine"]))
        # World axes run to the right, to the front and to the head, as in nibabel.
        assert liver[0] > heart[0] + 30 and liver[0] > spleen[0] + 60
        assert heart[1] > spine[1] + 50
        assert heart[2] > liver[2] + 40
        assert np.linalg.norm(centre(volume.mask == 5, volume.acquisition.affine) - liver) < 1e-3


def test_right_and_left_organs_lie_on_their_sides(volumes):
    for volume in volumes:
        middle = centre(np.isin(volume.mask, IDS["spine"]), volume.acquisition.affine)[0]
        for right, left in ((2, 3), (8, 9), (14, 11), (12, 10)):
            if (volume.mask == right).any() and (volume.mask == left).any():
                affine = volume.acquisition.affine
                assert centre(volume.mask == right, affine)[0] > middle > centre(volume.mask == left, affine)[0]


def test_labels_lesions_and_reports_agree(volumes):
    for volume in volumes:
        assert {f.plan.label for f in volume.findings} == {label for label, value in volume.labels.items() if value}
        for finding in volume.findings:
            assert finding.mask.shape == volume.hu.shape and finding.mask.any(), (volume.volume_id, finding.plan)
            told = finding.text.rstrip(".").lower() in volume.report.lower()
            assert told == (not finding.omitted), (finding.text, volume.report)


def test_volumes_hold_many_different_findings_and_normal_organs(volumes):
    shown = [finding.plan.label for volume in volumes for finding in volume.findings]
    assert len(set(shown)) >= 20
    normal = [len({f.anatomy for f in FINDINGS.values()} - {f.plan.anatomy for f in v.findings}) for v in volumes]
    assert np.mean(normal) >= 8


def test_a_patient_may_have_two_volumes_of_one_body(volumes):
    pairs = list(zip(volumes[::2], volumes[1::2], strict=True))
    same = [(a, b) for a, b in pairs if a.patient_id == b.patient_id]
    assert same and len(same) < len(pairs)
    for first, second in pairs:
        assert first.volume_id != second.volume_id
        assert np.allclose(first.body.size, second.body.size) == (first.patient_id == second.patient_id)
