"""The body that a phantom chest film shows: outline, lungs, ribs, heart, vessels, drawn as x-ray attenuation.

Everything is drawn in body coordinates: `x` runs from -1 (patient's right chest wall, on the left of the film) to 1,
`y` from 0 (lung apex) downwards in the same unit, so that one unit is half the width of the rib cage, about 14 cm. A
`Canvas` carries these into pixels.
"""

from dataclasses import dataclass, field

import cv2
import numpy as np

RIGHT, LEFT = -1, 1
SIGN = {"right": RIGHT, "left": LEFT}
_WALL_LEVELS = (0, 0.03, 0.08, 0.18, 0.32, 0.5, 0.75, 1, 1.3)


@dataclass(frozen=True)
class Body:
    """One patient's proportions, in body units (half the width of the rib cage)."""

    lung_height: float
    barrel: float
    heart_ratio: float
    heart_tilt: float
    heart_level: float
    dome_height: float
    dome_difference: float
    flesh: float
    breast: float
    knob: float
    mediastinum: float
    bend: float
    rib_count: int
    rib_slope: float
    rib_contrast: float
    vessel_contrast: float
    hilum_size: float
    lucency: float
    raised_dome: dict[str, float] = field(default_factory=dict)

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Body":
        """Draw a patient with a heart of normal size (cardiothoracic ratio 0.36 to 0.49)."""
        return cls(
            lung_height=rng.uniform(1.35, 1.85),
            barrel=rng.uniform(-1.0, 1.0),
            heart_ratio=rng.uniform(0.36, 0.49),
            heart_tilt=rng.uniform(0.0, 1.0),
            heart_level=rng.uniform(-0.06, 0.06),
            dome_height=rng.uniform(0.18, 0.42),
            dome_difference=rng.uniform(0.02, 0.12),
            flesh=rng.uniform(0.08, 0.34),
            breast=rng.uniform(0.5, 1.0) if rng.random() < 0.4 else 0.0,
            knob=rng.uniform(0.05, 0.1),
            mediastinum=rng.uniform(0.11, 0.19),
            bend=rng.uniform(-0.07, 0.07),
            rib_count=int(rng.integers(9, 11)),
            rib_slope=rng.uniform(0.25, 0.5),
            rib_contrast=rng.uniform(0.05, 0.12),
            vessel_contrast=rng.uniform(0.07, 0.15),
            hilum_size=rng.uniform(0.75, 1.15),
            lucency=rng.uniform(0.5, 0.68),
        )

    def midline(self, y: np.ndarray) -> np.ndarray:
        """Where the spine runs at height y: straight or slightly bent."""
        return self.bend * np.sin(np.pi * np.clip(np.asarray(y) / self.lung_height, -0.3, 1.3))

    def wall(self, y: np.ndarray) -> np.ndarray:
        """Distance of the inner chest wall from the midline at height y."""
        down = np.asarray(y) / self.lung_height
        usual = np.interp(down, _WALL_LEVELS, (0.4, 0.52, 0.6, 0.71, 0.81, 0.89, 0.95, 0.97, 0.95))
        return usual + self.barrel * np.interp(down, _WALL_LEVELS, (0.03, 0.05, 0.07, 0.08, 0.08, 0.06, 0.02, 0.0, 0.0))

    def place(self, side: int, s: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Points [N, 2] at distance s from the midline on one side."""
        s, y = np.broadcast_arrays(np.asarray(s, float), np.asarray(y, float))
        return np.stack([self.midline(y) + side * s, y], axis=-1)

    def dome_top(self, side: int) -> float:
        """Height (y) of the top of the diaphragm on one side; the right is higher."""
        name = "right" if side == RIGHT else "left"
        lower = self.dome_difference if side == LEFT else 0.0
        return self.lung_height - self.dome_height + lower - self.raised_dome.get(name, 0.0)

    def hilum(self, side: int) -> tuple[float, float]:
        """Distance from the midline and height of the hilum; the left is slightly higher."""
        return 0.25, self.lung_height * (0.44 if side == RIGHT else 0.415)

    def lung_outline(self, side: int) -> np.ndarray:
        """Closed outline of one lung, [N, 2]; its inner edge lies under the mediastinum."""
        h, top = self.lung_height, self.dome_top(side)
        down = np.array([0.0, 0.03, 0.08, 0.18, 0.32, 0.5, 0.75, 0.93]) * h
        angle = h * 1.0 - self.raised_dome.get("right" if side == RIGHT else "left", 0.0) * 0.5
        down = np.minimum(down, angle - 0.06)
        s = np.concatenate([self.wall(down), [0.955, 0.9, 0.72, 0.48, 0.28, 0.06, 0.05, 0.06, 0.1, 0.2]])
        low = top + (angle - top) * 0.45
        y = np.concatenate(
            [
                down,
                [
                    angle,
                    top + (angle - top) * 0.55,
                    top + (angle - top) * 0.12,
                    top,
                    top + 0.03,
                    low,
                    h * 0.6,
                    h * 0.3,
                    h * 0.12,
                    0.02 * h,
                ],
            ]
        )
        return smooth_closed(self.place(side, s, y))

    def heart_outline(self) -> np.ndarray:
        """Closed outline of the heart, [N, 2]. Its width over the rib cage's inner width (1.94) is `heart_ratio`."""
        width = self.heart_ratio * 1.94
        right, left = 0.30 * width, 0.70 * width
        floor = max(self.dome_top(RIGHT), self.dome_top(LEFT)) + 0.06
        tall = 0.4 + 0.42 * width + self.heart_level
        top = floor - tall
        apex = floor - 0.10 - 0.16 * (1 - self.heart_tilt)
        x = [
            0.0,
            0.09,
            0.15,
            left * 0.62,
            left * 0.92,
            left,
            left * 0.8,
            0.0,
            -right * 0.75,
            -right,
            -right * 0.85,
            -0.13,
        ]
        y = [
            top,
            top + 0.02,
            top + tall * 0.2,
            top + tall * 0.42,
            apex - 0.14,
            apex,
            floor - 0.02,
            floor + 0.03,
            floor - 0.03,
            floor - tall * 0.3,
            top + tall * 0.38,
            top + tall * 0.15,
        ]
        points = smooth_closed(np.stack([x, y], axis=-1))
        points[:, 0] += self.midline(points[:, 1]) * 0.6
        return points


class Canvas:
    """A film's pixel grid and the pose of the body on it.

    Args:
        shape: (rows, columns) of the film.
        matrix: [2, 3], body coordinates to pixel coordinates.
    """

    def __init__(self, shape: tuple[int, int], matrix: np.ndarray) -> None:
        self.shape, self.matrix = shape, matrix
        self.scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
        inverse = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))[:2].astype(np.float32)
        rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
        self.x = inverse[0, 0] * columns + inverse[0, 1] * rows + inverse[0, 2]
        self.y = inverse[1, 0] * columns + inverse[1, 1] * rows + inverse[1, 2]

    @classmethod
    def draw(cls, rng: np.random.Generator, body: Body) -> "Canvas":
        """Draw film size (224 to 352 px a side), magnification, rotation and position of the body."""
        rows, columns = (int(v) for v in rng.integers(224, 353, 2))
        if max(rows, columns) / min(rows, columns) > 1.3:
            columns = rows + int(rng.integers(-20, 21))
            columns = int(np.clip(columns, 224, 352))
        scale = min(columns * rng.uniform(0.74, 0.96) / 2, rows * rng.uniform(0.7, 0.9) / body.lung_height)
        angle = np.deg2rad(np.clip(rng.normal(0, 3.5), -9, 9))
        cos, sin = np.cos(angle) * scale, np.sin(angle) * scale
        centre = np.array([0.0, body.lung_height * 0.5])
        slack = rows - body.lung_height * scale
        target = np.array(
            [
                columns * (0.5 + np.clip(rng.normal(0, 0.025), -0.05, 0.05)),
                slack * rng.uniform(0.25, 0.55) + body.lung_height * scale / 2,
            ]
        )
        linear = np.array([[cos, -sin], [sin, cos]])
        return cls((rows, columns), np.hstack([linear, (target - linear @ centre)[:, None]]))

    def pixels(self, points: np.ndarray) -> np.ndarray:
        """Body points [..., 2] as cv2 fixed-point pixels (four fractional bits)."""
        return np.round((points @ self.matrix[:, :2].T + self.matrix[:, 2]) * 16).astype(np.int32)

    def fill(self, outline: np.ndarray, sigma: float = 0.0) -> np.ndarray:
        """A filled outline [N, 2] as coverage [H, W] in 0 to 1, its edge softened by sigma body units."""
        mask = np.zeros(self.shape, np.uint8)
        cv2.fillPoly(mask, [self.pixels(outline)], 255, cv2.LINE_AA, 4)
        return self.soften(mask.astype(np.float32) / 255, sigma)

    def soften(self, image: np.ndarray, sigma: float) -> np.ndarray:
        """Gaussian blur; sigma in body units."""
        return cv2.GaussianBlur(image, (0, 0), sigma * self.scale) if sigma * self.scale > 0.25 else image

    def stroke(
        self, mask: np.ndarray, lines: list[np.ndarray] | np.ndarray, width: float, value: int, closed: bool = False
    ) -> None:
        """Draw open lines [N, 2] of a width in body units into an 8-bit mask."""
        cv2.polylines(
            mask,
            [self.pixels(line) for line in lines],
            closed,
            value,
            max(1, round(width * self.scale)),
            cv2.LINE_AA,
            4,
        )

    def noise(self, rng: np.random.Generator, sizes: tuple[float, ...], falloff: float = 1.0) -> np.ndarray:
        """Noise of a 1/f-like spectrum, [H, W], standard deviation near 1; grain sizes in body units, coarse first."""
        total, power = np.zeros(self.shape, np.float32), 0.0
        for size in sizes:
            grid = [max(2, int(np.ceil(n / max(1.0, size * self.scale)))) for n in self.shape]
            weight = (size / sizes[0]) ** (falloff / 2)
            grain = rng.standard_normal(grid, np.float32)
            total += weight * cv2.resize(grain, self.shape[::-1], interpolation=cv2.INTER_CUBIC)
            power += (weight * 0.75) ** 2
        return total / float(np.sqrt(power))


def smooth_closed(points: np.ndarray, steps: int = 8) -> np.ndarray:
    """A closed Catmull-Rom curve through points [N, 2], [N * steps, 2]."""
    before, after, further = np.roll(points, 1, 0), np.roll(points, -1, 0), np.roll(points, -2, 0)
    t = (np.arange(steps) / steps)[None, :, None]
    p0, p1, p2, p3 = (p[:, None, :] for p in (before, points, after, further))
    curve = 0.5 * (2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2 + (3 * p1 - p0 - 3 * p2 + p3) * t**3)
    return curve.reshape(-1, 2)


def circle(centre: tuple[float, float], radius: float | tuple[float, float], count: int = 40) -> np.ndarray:
    """Outline of a circle or ellipse, [count, 2]."""
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return np.asarray(centre) + np.stack([np.cos(angle), np.sin(angle)], axis=-1) * np.asarray(radius)


@dataclass
class Chest:
    """The layers of a drawn chest, each [H, W] float32, before anything is exposed.

    tissue is the attenuation of the body without air; air (0 to 1) is how much of it is aerated lung; lungs holds each
    lung's coverage with heart and mediastinum left out; fields holds it with them; vessels and ribs are added on top.
    """

    body: Body
    canvas: Canvas
    tissue: np.ndarray
    air: np.ndarray
    lungs: dict[str, np.ndarray]
    fields: dict[str, np.ndarray]
    vessels: np.ndarray
    bones: np.ndarray
    texture: np.ndarray
    heart: np.ndarray
    added: np.ndarray
    sharp: np.ndarray

    def attenuation(self) -> np.ndarray:
        """What the beam meets, [H, W]: 0 in free air, about 0.4 in lung, about 1 in the mediastinum."""
        lung = self.body.lucency * self.air
        aerated = np.clip(self.air, 0, 1)
        detail = self.vessels * self.sharp * (0.15 + 0.85 * aerated) + self.texture * (0.3 + aerated)
        return (self.tissue * (1 - lung) + self.bones + detail + self.added).astype(np.float32)
