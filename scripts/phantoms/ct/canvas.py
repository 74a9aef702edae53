"""The voxel grid that a phantom volume is drawn on, and the shapes that it is drawn of.

Shapes are given in body coordinates, millimetres of an average adult: x to the patient's right, y to the front, z to the
head, origin in the middle of the chest at the height of the diaphragm. A `Canvas` knows the body coordinates of every
voxel; the patient's size and small smooth deformations are in these coordinates, so that no shape knows of them. A shape
is a level: millimetres to its surface, positive inside.
"""

import numpy as np
from scipy.interpolate import BSpline

Box = tuple[slice, slice, slice]
EVERYWHERE: Box = (slice(None), slice(None), slice(None))


class Canvas:
    """A volume that is being drawn.

    Args:
        coordinates: body coordinates of every voxel, [3, X, Y, Z] float32, millimetres; the array's axes run roughly
            along the body's.
        step: size of a voxel in body coordinates, [3].

    Attributes:
        softness: width of a shape's edge, millimetres; about that of a voxel.
        hu: [X, Y, Z] float32, Hounsfield units; air at first.
        mask: [X, Y, Z] uint8, classes of TotalSegmentator v2; 0 at first.
    """

    def __init__(self, coordinates: np.ndarray, step: np.ndarray) -> None:
        self.coordinates, self.step, self.softness = coordinates, step, float(np.mean(step))
        self.hu = np.full(coordinates.shape[1:], -1000, np.float32)
        self.mask = np.zeros(coordinates.shape[1:], np.uint8)
        # Smallest coordinate of every slab and those after it, largest of it and those before it, for `box`.
        self._limits = []
        for axis, values in enumerate(coordinates):
            others = tuple({0, 1, 2} - {axis})
            least = np.minimum.accumulate(values.min(others)[::-1])[::-1]
            self._limits.append((least, np.maximum.accumulate(values.max(others))))

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.hu.shape

    def box(self, low: np.ndarray, high: np.ndarray) -> Box:
        """The part of the grid outside of which no voxel lies between two corners; it may be empty."""
        slabs = []
        for (least, most), a, b in zip(self._limits, np.asarray(low), np.asarray(high), strict=True):
            first, last = most.searchsorted(a - self.softness), least.searchsorted(b + self.softness, "right")
            slabs.append(slice(int(first), max(int(first), int(last))))
        return tuple(slabs)

    def at(self, box: Box = EVERYWHERE) -> np.ndarray:
        """Body coordinates [3, ...] of the voxels in a box."""
        return self.coordinates[:, *box]

    def ellipsoid(self, centre: np.ndarray, radii: np.ndarray | float, axes: np.ndarray | None = None) -> tuple[Box, np.ndarray]:
        """An ellipsoid's box and its level there.

        Args:
            centre: [3].
            radii: [3], or one for a ball.
            axes: [3, 3], a rotation whose rows are the directions of the radii; the body's own by default.
        """
        radii = np.broadcast_to(np.asarray(radii, np.float32), 3)
        reach = radii if axes is None else np.sqrt(((axes * radii[:, None]) ** 2).sum(0))
        box = self.box(centre - reach, centre + reach)
        away = self.at(box) - np.asarray(centre, np.float32)[:, None, None, None]
        if axes is not None:
            away = np.tensordot(axes.astype(np.float32), away, 1)
        away /= radii[:, None, None, None]
        return box, (1 - np.sqrt(np.einsum("i...,i...", away, away))) * radii.min()

    def tube(self, points: np.ndarray, radii: np.ndarray | float) -> tuple[Box, np.ndarray]:
        """A tube's box and its level there.

        Args:
            points: [N, 3], N >= 2, its course.
            radii: [N], or one for all.
        """
        points = np.asarray(points, np.float32)
        radii = np.broadcast_to(np.asarray(radii, np.float32), len(points))
        box = self.box(points.min(0) - radii.max(), points.max(0) + radii.max())
        level = np.full([s.stop - s.start for s in box], -np.inf, np.float32)
        for a, b, radius, end_radius in zip(points[:-1], points[1:], radii[:-1], radii[1:], strict=True):
            near = max(radius, end_radius)
            part = self.box(np.minimum(a, b) - near, np.maximum(a, b) + near)
            here = tuple(slice(p.start - s.start, p.stop - s.start) for p, s in zip(part, box, strict=True))
            away, course = self.at(part) - a[:, None, None, None], b - a
            along = np.clip(np.tensordot(course, away, 1) / max(float(course @ course), 1e-6), 0, 1)
            away -= course[:, None, None, None] * along
            depth = radius + (end_radius - radius) * along - np.sqrt(np.einsum("i...,i...", away, away))
            np.maximum(level[here], depth, out=level[here])
        return box, level

    def cover(self, level: np.ndarray) -> np.ndarray:
        """The share of each voxel that a shape covers, 0 to 1."""
        return np.clip(level / self.softness + 0.5, 0, 1)

    def paint(self, shape: tuple[Box, np.ndarray], hu: np.ndarray | float, label: int | None = None) -> None:
        """Fill a shape with Hounsfield units and, if a label is given, put it into the mask."""
        box, level = shape
        part = self.hu[box]
        part += self.cover(level) * (hu - part)
        if label is not None:
            self.mask[box][level > 0] = label

    def filled(self, shape: tuple[Box, np.ndarray]) -> np.ndarray:
        """A shape as [X, Y, Z] bool."""
        box, level = shape
        full = np.zeros(self.shape, bool)
        full[box] = level > 0
        return full


def profile(where: np.ndarray, at: tuple[float, ...], values: tuple[float, ...]) -> np.ndarray:
    """Interpolate `values` given `at` increasing positions, in steps of 1 mm; the outer values hold beyond them."""
    table = np.interp(np.arange(at[0], at[-1] + 1), at, values).astype(np.float32)
    return table[np.clip(where - at[0] + 0.5, 0, len(table) - 1).astype(np.intp)]


def smooth_noise(rng: np.random.Generator, shape: tuple[int, ...], grain: float | tuple[float, ...]) -> np.ndarray:
    """Smooth noise of standard deviation 1.

    Args:
        rng: source of the noise.
        shape: of the result, three axes.
        grain: size of a grain in voxels, for every axis or for each; 1 or more.
    """
    grains = np.broadcast_to(grain, 3)
    knots = [int(np.ceil(n / g)) + 3 for n, g in zip(shape, grains, strict=True)]
    noise = rng.standard_normal(knots, np.float32)
    for axis, (n, g) in enumerate(zip(shape, grains, strict=True)):
        # Cubic B-splines; each row is divided by its norm, so that every voxel has the same variance.
        position = np.arange(n) / g + 3
        basis = BSpline.design_matrix(position, np.arange(knots[axis] + 4), 3).toarray().astype(np.float32)
        basis /= np.linalg.norm(basis, axis=1, keepdims=True)
        noise = np.moveaxis(np.tensordot(basis, noise, (1, axis)), 0, axis)
    return noise


def rotation(rng: np.random.Generator, degrees: float) -> np.ndarray:
    """A rotation [3, 3] about each body axis by up to so many degrees."""
    out = np.eye(3)
    for axis, angle in enumerate(np.deg2rad(rng.uniform(-degrees, degrees, 3))):
        turn = np.eye(3)
        first, second = {0, 1, 2} - {axis}
        turn[first, first] = turn[second, second] = np.cos(angle)
        turn[first, second], turn[second, first] = -np.sin(angle), np.sin(angle)
        out = turn @ out
    return out.astype(np.float32)


def curve(points: list[tuple[float, float, float]] | np.ndarray, spacing: float = 8) -> np.ndarray:
    """A smooth curve through points [N, 3], sampled about every `spacing` millimetres."""
    points = np.asarray(points, float)
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    padded = np.vstack([2 * points[0] - points[1], points, 2 * points[-1] - points[-2]])
    pieces = []
    for i, length in enumerate(steps):
        t = np.arange(0, 1, 1 / max(1, round(length / spacing)))[:, None]
        p0, p1, p2, p3 = padded[i : i + 4]
        pieces.append(0.5 * (2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2 + (3 * p1 - p0 - 3 * p2 + p3) * t**3))
    return np.vstack([*pieces, points[-1:]]).astype(np.float32)
