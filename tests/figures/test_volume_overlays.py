from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest
import torch
from ignite.engine import Engine
from nibabel.orientations import axcodes2ornt, ornt_transform

from scripts.figures import VolumeOverlays
from scripts.figures.volume_overlays import volume_figure
from scripts.preparation.volume import prepare_volume
from scripts.readers.volume import Volume


@pytest.fixture(params=["RAS", "LPS", "PSR"])
def case(request, tmp_path):
    """A block at the patient's left, in front, in the upper half, in a file whose axes run in some order; with its prediction."""
    values = np.full((40, 30, 20), 40, np.int16)
    values[0, 0, 0] = -1000
    organ = np.zeros_like(values, np.uint8)
    organ[6:12, 20:26, 13:17] = 1  # RAS, 4 x 4 x 5 mm
    affine = np.diag([4.0, 4.0, 5.0, 1.0])
    turn = ornt_transform(axcodes2ornt("RAS"), axcodes2ornt(request.param))
    stored, labels = (nib.Nifti1Image(part, affine).as_reoriented(turn) for part in (values, organ))
    nib.save(stored, tmp_path / "scan.nii.gz")
    volume = Volume(np.asarray(stored.dataobj), stored.affine, tmp_path / "scan.nii.gz")
    prepared = prepare_volume(volume, np.asarray(labels.dataobj), (4, 4, 5), (8, 8, 8))
    found = [
        {"label": "Cyst", "anatomy": "liver", "probability": 0.8, "saliency": nib.Nifti1Image(labels.dataobj, stored.affine)},
        {"label": "Steatosis", "anatomy": "liver", "probability": 0.9},
    ]
    record = {"image": str(tmp_path / "scan.nii.gz")}
    mask = torch.from_numpy(prepared.mask)[None]
    case = {"case_id": "scan", "record": record, "prepared_affine": prepared.affine, "anatomy_mask": mask}
    return case, found


def test_left_is_on_the_right_and_front_above_whatever_the_files_axes(case):
    figure = volume_figure(*case, ["liver"], most=6)
    (axis,) = [axis for axis in figure.axes if axis.images]
    film, heat = (image.get_array() for image in axis.images)
    assert film.shape == (30, 40)
    rows, columns = np.nonzero(heat[..., 3] > 0.5 * heat[..., 3].max())
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (4, 9, 28, 33)
    assert axis.get_title() == "Cyst (liver), probability 0.80"
    (outline,) = axis.collections
    corners = outline.get_paths()[0].vertices
    np.testing.assert_allclose([corners.min(0), corners.max(0)], [[27.5, 3.5], [33.5, 9.5]], atol=0.51)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["anatomy"]


def test_a_volume_without_findings_shows_its_anatomies(case):
    figure = volume_figure(case[0], [], ["liver"], most=6)
    (axis,) = [axis for axis in figure.axes if axis.images]
    assert len(axis.images) == 1 and axis.get_title() == "scan: nothing found" and len(axis.collections) == 1


def test_the_first_volumes_of_a_run_get_a_picture(case, tmp_path):
    engine = Engine(lambda engine, batch: {"answers": [({**case[0], "case_id": batch}, case[1])]})
    engine.classifier = SimpleNamespace(network=SimpleNamespace(anatomies=["liver"]))
    VolumeOverlays(tmp_path / "overlays", volumes=2).attach(engine)
    engine.run(["a", "b", "c"], max_epochs=1)
    assert sorted(path.name for path in (tmp_path / "overlays").iterdir()) == ["a.png", "b.png"]
