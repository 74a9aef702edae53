"""Pictures of what a CT inference found: key slices with the anatomy's outline and the evidence."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from ignite.engine import Engine, Events
from matplotlib.figure import Figure
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform
from skimage.transform import resize

from scripts.figures.localization import grid_figure
from scripts.preparation.volume import WINDOW, to_native
from scripts.readers.volume import read_volume

WINDOWS = {"lung": (-1350.0, 150.0), "trachea": (-1350.0, 150.0), "spine": (-500.0, 1300.0)}
SOFT_TISSUE = (-160.0, 240.0)
"""Hounsfield units shown black and white: the usual lung, bone and soft tissue windows."""
COLUMNS = 3


class VolumeOverlays:
    """Write a picture of each volume with its most probable findings, each on the axial slice that shows most of it.

    Everything is drawn in the volume's own grid, so that the way back from the network can be seen to be right: right side of the
    patient on the left, front above. A volume in which nothing was found shows all anatomies on its middle slice.

    Args:
        folder: receives CASE.png for each volume.
        findings: panels of a picture at most.
        volumes: volumes of a run that get a picture, the first ones.
    """

    def __init__(self, folder: str | Path, findings: int = 6, volumes: int = 20) -> None:
        self.folder, self.findings, self.volumes = Path(folder), findings, volumes

    def attach(self, engine: Engine) -> None:
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._draw)

    def _start(self, engine: Engine) -> None:
        self._left = self.volumes

    def _draw(self, engine: Engine) -> None:
        names = engine.classifier.network.anatomies
        for case, found in engine.state.output["answers"]:
            if self._left <= 0:
                return
            self._left -= 1
            self.folder.mkdir(parents=True, exist_ok=True)
            volume_figure(case, found, names, self.findings).savefig(self.folder / f"{case['case_id']}.png")


def volume_figure(case: Mapping[str, Any], found: list[dict[str, Any]], anatomies: list[str], most: int) -> Figure:
    """Draw the most probable located findings of a volume.

    Args:
        case: as `scripts.transforms.PrepareVolumed` makes it.
        found: entries of its predictions; those with a saliency volume are drawn.
        anatomies: names, in the order of the mask's values.
        most: panels at most.
    """
    volume = read_volume(case["record"]["image"])
    located = sorted((entry for entry in found if "saliency" in entry), key=lambda entry: -entry["probability"])[:most]
    prepared = case["anatomy_mask"][0].numpy()
    panels = []
    for entry in located:
        inside = prepared == anatomies.index(entry["anatomy"]) + 1
        title = f"{entry['label']} ({entry['anatomy']}), probability {entry['probability']:.2f}"
        saliency = entry["saliency"].get_fdata(dtype=np.float32)
        panels.append(_panel(case, volume, inside, saliency, WINDOWS.get(entry["anatomy"], SOFT_TISSUE), title))
    if not panels:
        panels = [_panel(case, volume, prepared > 0, None, SOFT_TISSUE, f"{case['case_id']}: nothing found")]
    return grid_figure(panels, COLUMNS, outline="anatomy")


def prepared_panel(case: Mapping[str, Any], value: int, anatomy: str, saliency: np.ndarray, title: str) -> dict[str, Any]:
    """A panel for `grid_figure`: the axial slice of a prepared volume that shows most of a finding, in the prepared grid.

    Args:
        case: image [1, D, H, W] in [0, 1], anatomy_mask [1, D, H, W].
        value, anatomy: of the finding in the mask, and its name.
        saliency: [D, H, W] in [0, 1].
        title: shown above.
    """
    inside = case["anatomy_mask"][0].numpy() == value
    within = saliency * inside
    level = int((within if within.any() else inside).sum((1, 2), dtype=np.float64).argmax())
    darkest, brightest = WINDOW
    low, high = WINDOWS.get(anatomy, SOFT_TISSUE)
    units = case["image"][0, level].numpy() * (brightest - darkest) + darkest
    return {
        "film": np.clip((units - low) / (high - low), 0, 1),
        "heat": saliency[level],
        "boxes": (),
        "mask": inside[level],
        "regions": (),
        "title": title,
    }


def _panel(case, volume, inside: np.ndarray, saliency: np.ndarray | None, window: tuple[float, float], title: str) -> dict:
    native = to_native(inside, case["prepared_affine"], volume.values.shape, volume.affine) > 0.5
    turn = ornt_transform(io_orientation(volume.affine), axcodes2ornt("LPS"))
    shown = [nib.apply_orientation(part, turn) for part in (volume.values, native, native if saliency is None else saliency)]
    within = shown[2] * shown[1]  # as for the key slice: tokens are larger than many an anatomy
    level = int((within if within.any() else shown[2]).sum((0, 1), dtype=np.float64).argmax())
    sides = nib.affines.voxel_sizes(volume.affine @ nib.orientations.inv_ornt_aff(turn, volume.values.shape))[:2]
    size = tuple(round(n * side / min(sides)) for n, side in zip(shown[0].shape, sides, strict=False))[::-1]
    film, mask, heat = (resize(part[:, :, level].T.astype(np.float32), size, order=1) for part in shown)
    low, high = window
    return {
        "film": np.clip((film - low) / (high - low), 0, 1),
        "heat": None if saliency is None else heat,
        "boxes": (),
        "mask": mask > 0.5,
        "regions": (),
        "title": title,
    }
