"""The picture plane of a phantom frame and the surfaces put on it: how near, of which colour, how wet.

Shapes are given in view coordinates: `x` and `y` run from -1 to 1 over the field of view, `y` downwards. Lateral is negative `x`
on both sides of the patient; `Canvas` mirrors the left one, so that the septum lies towards the right of a right-sided frame, as
it does for an examiner who faces the patient.
"""

from dataclasses import dataclass, field

import cv2
import numpy as np

Colour = tuple[float, float, float]
Point = tuple[float, float]


@dataclass(frozen=True)
class Pose:
    """Where the tip of the endoscope is: shift in view units, turn in radians, zoom."""

    shift: Point
    turn: float
    zoom: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Pose":
        x, y = rng.uniform(-0.1, 0.1, 2)
        return cls((float(x), float(y)), float(np.clip(rng.normal(0, 0.1), -0.25, 0.25)), float(rng.uniform(0.9, 1.12)))

    def moved(self, rng: np.random.Generator) -> "Pose":
        """A slightly different pose, as in the next frame of a video."""
        x, y = self.shift + rng.uniform(-0.05, 0.05, 2)
        return Pose((float(x), float(y)), self.turn + float(rng.uniform(-0.05, 0.05)), self.zoom * float(rng.uniform(0.96, 1.04)))


class Canvas:
    """Pixel grid of a field of view's bounding box, and how view coordinates fall on it.

    Args:
        shape: rows and columns.
        pose: of the endoscope.
        mirrored: True on the patient's left side.
    """

    def __init__(self, shape: tuple[int, int], pose: Pose, mirrored: bool) -> None:
        self.shape = shape
        self._half = max(shape) / 2
        self.scale = self._half * pose.zoom
        cos, sin = np.cos(pose.turn) * self.scale, np.sin(pose.turn) * self.scale
        linear = np.array([[cos, -sin], [sin, cos]])
        if mirrored:
            linear[:, 0] *= -1
        shift = np.array(shape[::-1]) / 2 * (1 + np.array(pose.shift))
        self.matrix = np.hstack([linear, shift[:, None]])
        inverse = np.linalg.inv(linear).astype(np.float32)
        columns = np.arange(shape[1], dtype=np.float32)[None] - np.float32(shift[0])
        rows = np.arange(shape[0], dtype=np.float32)[:, None] - np.float32(shift[1])
        self.x = inverse[0, 0] * columns + inverse[0, 1] * rows
        self.y = inverse[1, 0] * columns + inverse[1, 1] * rows

    def pixels(self, points: np.ndarray) -> np.ndarray:
        """View points [..., 2] as cv2 fixed-point pixels (four fractional bits)."""
        return np.round((np.asarray(points) @ self.matrix[:, :2].T + self.matrix[:, 2]) * 16).astype(np.int32)

    def fill(self, outline: np.ndarray, soft: float = 0.0) -> np.ndarray:
        """A filled outline [N, 2] as coverage [H, W] from 0 to 1, its edge softened by `soft` view units."""
        mask = np.zeros(self.shape, np.uint8)
        cv2.fillPoly(mask, [self.pixels(outline)], 255, cv2.LINE_AA, 4)
        return self.soften(mask.astype(np.float32) / 255, soft)

    def stroke(self, lines: np.ndarray, widths: np.ndarray, soft: float = 0.0) -> np.ndarray:
        """Open lines [M, N, 2] of the given widths [M] in view units as coverage [H, W]."""
        mask, points = np.zeros(self.shape, np.uint8), self.pixels(lines)
        thickness = np.maximum(1, np.round(np.asarray(widths) * self.scale)).astype(int)
        for each in np.unique(thickness):
            cv2.polylines(mask, list(points[thickness == each]), False, 255, int(each), cv2.LINE_AA, 4)
        return self.soften(mask.astype(np.float32) / 255, soft)

    def soften(self, image: np.ndarray, sigma: float) -> np.ndarray:
        """Gaussian blur, sigma in view units; a wide one is taken on a coarser grid."""
        sigma *= self.scale
        if sigma < 0.3:
            return image
        if sigma < 5:
            return cv2.GaussianBlur(image, (0, 0), sigma)
        step = 4 if sigma < 16 else 8
        return self._enlarged(cv2.GaussianBlur(self._reduced(image, step), (0, 0), sigma / step), step)

    def inflate(self, cover: np.ndarray, width: float) -> np.ndarray:
        """Height of a cushion over a coverage: 0 at its edge, 1 where it is `width` view units from it, or at its highest."""
        few, profile = self._reduced(cover, 4), 0.0
        for share, reach in ((0.55, width), (0.45, 0.4 * width)):
            blurred = cv2.GaussianBlur(few, (0, 0), max(0.5, reach * self.scale / 8))
            profile = profile + share * np.sqrt(np.clip((blurred / max(float(blurred.max()), 1e-3) - 0.4) / 0.6, 0, 1))
        return self._enlarged(profile, 4)

    def _reduced(self, image: np.ndarray, step: int) -> np.ndarray:
        return cv2.resize(image, (-(-self.shape[1] // step), -(-self.shape[0] // step)), interpolation=cv2.INTER_AREA)

    def _enlarged(self, few: np.ndarray, step: int) -> np.ndarray:
        whole = cv2.resize(few, self.shape[::-1], interpolation=cv2.INTER_LINEAR)
        # Slopes jump between the points of the coarse grid, and the light would show it.
        return cv2.blur(whole, (step + 1, step + 1))

    def noise(self, rng: np.random.Generator, *sizes: float) -> np.ndarray:
        """Smooth noise [H, W] of standard deviation near 1; grain sizes in view units, the coarse ones stronger."""
        total = 0.0
        for number, size in enumerate(sizes):
            # Not finer when zoomed in: the next frame of a region takes as many random numbers.
            grid = [max(2, int(np.ceil(n / (size * self._half))) + 1) for n in self.shape]
            grain = cv2.resize(rng.standard_normal(grid, np.float32), self.shape[::-1], interpolation=cv2.INTER_CUBIC)
            total = total + grain * np.float32(0.6**number)
        return total / np.float32(0.75 * np.sqrt(sum(0.36**number for number in range(len(sizes)))))


@dataclass
class Scene:
    """What the endoscope sees before any light is on it; all maps [H, W] float32.

    Attributes:
        canvas: pixel grid.
        rng: of what is drawn.
        height: nearness, 0 in the depth of the lumen to about 1 at the tip.
        albedo: [3, H, W], colour in white light; channels first, because most work goes channel by channel.
        gloss: wetness, 0 dry, 1 usual mucosa.
        vascular: strength of the vessels that show, 1 usual mucosa.
        marks: mask [H, W] bool of every finding drawn so far, by label.
    """

    canvas: Canvas
    rng: np.random.Generator
    height: np.ndarray
    albedo: np.ndarray
    gloss: np.ndarray
    vascular: np.ndarray
    marks: dict[str, np.ndarray] = field(default_factory=dict)

    @classmethod
    def empty(cls, canvas: Canvas, rng: np.random.Generator, colour: Colour, height: float = 0.06) -> "Scene":
        """Nothing but the depth of a lumen."""
        albedo = np.empty((3, *canvas.shape), np.float32)
        albedo[:] = np.array(colour, np.float32)[:, None, None]
        maps = (np.full(canvas.shape, value, np.float32) for value in (0.3, 1.0))
        return cls(canvas, rng, np.full(canvas.shape, height, np.float32), albedo, *maps)

    def put(
        self,
        cover: np.ndarray,
        height: np.ndarray | float,
        colour: Colour,
        gloss: float = 1.0,
        vascular: float = 1.0,
    ) -> np.ndarray:
        """Put a surface where it is nearer than what is there.

        Args:
            cover: [H, W], 0 to 1.
            height: nearness of the surface.
            colour, gloss, vascular: of the surface.

        Returns:
            Where it is seen, [H, W] bool.
        """
        seen = (cover > 0.5) & (self.height < height)
        weight = np.where(self.height < height, cover, np.float32(0))
        self.height = np.where(seen, height, self.height)
        self.stain(weight, colour)
        self.gloss += weight * (gloss - self.gloss)
        self.vascular += weight * (vascular - self.vascular)
        return seen

    def stain(self, weight: np.ndarray, colour: Colour) -> None:
        """Blend a colour into the surface; weight [H, W] from 0 to 1."""
        for channel, value in zip(self.albedo, colour, strict=True):
            channel += weight * (np.float32(value) - channel)

    def mark(self, label: str, mask: np.ndarray) -> None:
        """Note where a finding is seen; parts add up."""
        self.marks[label] = self.marks[label] | mask if label in self.marks else mask

    def hide(self, mask: np.ndarray) -> None:
        """Note that what was marked so far is not seen here any more."""
        self.marks = {label: mark & ~mask for label, mark in self.marks.items()}
