"""How a phantom body comes to lie on a scanner's grid: field of view, spacing, position, order of axes, noise."""

from dataclasses import dataclass

import numpy as np
from nibabel.nifti1 import Nifti1Image
from nibabel.orientations import axcodes2ornt, ornt_transform

from scripts.phantoms.ct.body import Body
from scripts.phantoms.ct.canvas import Canvas, rotation, smooth_noise
from scripts.phantoms.ct.plan import BELOW_NECK, CHEST

# Orders of axes that scanners and converters write, each as often as it stands here.
AXES = ("LPS", "LPS", "LAS", "LAS", "RAS", "RAS", "RPS", "LPI", "PSR", "RSA")
OBLIQUE = 0.15
_MAX_DEGREES = 7


@dataclass(frozen=True)
class Acquisition:
    """A scan's grid with axes to the right, front and head, and the order in which its axes are stored.

    Attributes:
        shape: voxels along each axis.
        affine: voxel to world (RAS, millimetres), [4, 4].
        isocentre: where in the world the origin of the body lies, [3].
        axes: letters of the stored axes' directions, such as "LPS".
    """

    shape: tuple[int, int, int]
    affine: np.ndarray
    isocentre: np.ndarray
    axes: str

    @classmethod
    def draw(cls, rng: np.random.Generator, body: Body, field: str) -> "Acquisition":
        """Draw a grid: 2.6 to 3.9 mm in plane, slices of 3 to 6 mm, now and then oblique by a few degrees."""
        bottom = rng.uniform(-72, -58) if field == CHEST else rng.uniform(-184, -168)
        top = rng.uniform(196, 202) if field == BELOW_NECK else rng.uniform(254, 262)
        half = 148 + body.fat + rng.uniform(6, 18)
        low = np.array([-half, -124 - body.fat - 6, bottom]) * body.size
        high = np.array([half, 96 + body.fat + 6, top]) * body.size
        plane = rng.uniform(2.6, 3.9)
        slices = rng.uniform(max(3.0, (high[2] - low[2]) / 108), min(6.0, (high[2] - low[2]) / 62))
        spacing = np.array([plane, plane, slices])
        shape = np.ceil((high - low) / spacing).astype(int)
        turn = rotation(rng, _MAX_DEGREES).astype(float) if rng.random() < OBLIQUE else np.eye(3)
        isocentre = rng.uniform((-60, -120, -900), (60, 120, 400))
        affine = np.eye(4)
        affine[:3, :3] = turn * spacing
        # A turned grid is turned about the middle of the field.
        middle = isocentre + (low + high) / 2
        affine[:3, 3] = middle - affine[:3, :3] @ ((shape - 1) / 2)
        return cls(tuple(int(n) for n in shape), affine, isocentre, str(rng.choice(AXES)))

    def canvas(self, rng: np.random.Generator, body: Body) -> Canvas:
        """An empty canvas on this grid, on which a body has its size and is a little deformed."""
        index = [np.arange(n, dtype=np.float32) for n in self.shape]
        spacing = np.linalg.norm(self.affine[:3, :3], axis=0)
        step = (spacing / body.size).astype(np.float32)
        coordinates = np.empty((3, *self.shape), np.float32)
        for axis in range(3):
            a, b, c = (self.affine[axis, :3] / body.size[axis]).astype(np.float32)
            offset = np.float32((self.affine[axis, 3] - self.isocentre[axis]) / body.size[axis])
            coordinates[axis] = (a * index[0] + offset)[:, None, None] + (b * index[1])[:, None] + c * index[2]
            coordinates[axis] += rng.uniform(2, 4.5) * smooth_noise(rng, self.shape, tuple(80 / step))
        return Canvas(coordinates, step)

    def stored(self, array: np.ndarray) -> Nifti1Image:
        """An array on this grid as an image whose axes are in the stored order."""
        image = Nifti1Image(array, self.affine)
        image.header.set_xyzt_units("mm")
        return image.as_reoriented(ornt_transform(axcodes2ornt("RAS"), axcodes2ornt(self.axes)))


def expose(canvas: Canvas, rng: np.random.Generator) -> np.ndarray:
    """Hounsfield units with the noise of a scan, 15 to 36 HU, partly correlated; [X, Y, Z] int16."""
    level = rng.uniform(15, 36)
    noise = 0.7 * smooth_noise(rng, canvas.shape, 1.4) + 0.7 * rng.standard_normal(canvas.shape, np.float32)
    return np.clip(np.round(canvas.hu + level * noise), -1024, 3071).astype(np.int16)
