"""A patient's nose: proportions and colours, and the shapes that its regions are made of."""

from dataclasses import dataclass

import numpy as np

from scripts.phantoms.cxr.anatomy import smooth_closed
from scripts.phantoms.nasal.canvas import Colour, Point, Scene

GREY, BLUISH, RED = (0.76, 0.69, 0.62), (0.74, 0.60, 0.63), (0.72, 0.24, 0.22)
BLOOD, SLOUGH, PUS, CRUST, MUCUS = (
    (0.50, 0.06, 0.06),
    (0.76, 0.69, 0.54),
    (0.78, 0.75, 0.36),
    (0.55, 0.42, 0.22),
    (0.86, 0.84, 0.78),
)


@dataclass(frozen=True)
class Nose:
    """One patient's proportions (1 is usual) and colours.

    mucosa and pale are the colours of turbinates and of septum and lateral wall; dryness runs from 0 to 1.
    """

    turbinate: float
    torus: float
    slit: float
    relief: float
    vessels: float
    mucosa: Colour
    pale: Colour
    dryness: float

    @classmethod
    def draw(cls, rng: np.random.Generator, irradiated: bool) -> "Nose":
        """Draw a patient; irradiated mucosa is pale and dry."""
        redness, light = rng.uniform(-0.05, 0.05), rng.uniform(-0.04, 0.04)
        mucosa = (0.80 + light, 0.42 + light - redness, 0.37 + light - redness)
        pale = (0.85 + light, 0.60 + light - redness, 0.53 + light - redness)
        if irradiated:
            mucosa = tuple(0.4 * a + 0.6 * b for a, b in zip(mucosa, (0.84, 0.66, 0.54), strict=True))
        return cls(
            turbinate=float(rng.uniform(0.92, 1.08)),
            torus=float(rng.uniform(0.85, 1.15)),
            slit=float(rng.uniform(0.85, 1.2)),
            relief=float(rng.uniform(0.6, 1.3)),
            vessels=float(rng.uniform(0.4, 1.2)),
            mucosa=mucosa,
            pale=pale,
            dryness=0.8 if irradiated else float(rng.uniform(0.0, 0.2)),
        )

    @property
    def lumen(self) -> Colour:
        """Colour of what lies too deep for the light."""
        red, green, blue = self.mucosa
        return (0.6 * red, 0.4 * green, 0.4 * blue)


def shape(points: list[Point], rng: np.random.Generator, jitter: float = 0.02) -> np.ndarray:
    """A smooth closed outline through points, each moved a little, [N, 2]."""
    return smooth_closed(np.array(points, float) + rng.normal(0, jitter, (len(points), 2)), 6)


def blob(
    centre: Point, size: Point, rng: np.random.Generator, waves: tuple[float, float] = (0.02, 0.06), turn: float = 0.0
) -> np.ndarray:
    """An ellipse whose radius wavers, [48, 2]; waves are the least and most amplitude of each of four harmonics."""
    angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    radius = 1 + sum(rng.uniform(*waves) * np.cos(k * angle + rng.uniform(0, 6.3)) for k in (2, 3, 4, 5))
    x, y = radius * np.cos(angle) * size[0], radius * np.sin(angle) * size[1]
    return np.stack([centre[0] + np.cos(turn) * x - np.sin(turn) * y, centre[1] + np.sin(turn) * x + np.cos(turn) * y], -1)


def wall(scene: Scene, outline: np.ndarray, low: float, slope: Point, colour: Colour, vascular: float = 1.0) -> np.ndarray:
    """A flat wall: nearness `low` in the middle of the view, rising by `slope` over one view unit. Returns where it is seen."""
    canvas = scene.canvas
    plane = np.clip(low + slope[0] * canvas.x + slope[1] * canvas.y, 0.05, 0.97).astype(np.float32)
    cover = canvas.fill(outline)
    rounded = 0.12 * (1 - canvas.inflate(cover, 0.2))
    return scene.put(cover, plane - rounded, colour, vascular=vascular)


def cushion(
    scene: Scene,
    outline: np.ndarray,
    heights: tuple[float, float],
    colour: Colour,
    width: float = 0.5,
    gloss: float = 1.0,
    vascular: float = 1.0,
    relief: np.ndarray | float = 0.0,
) -> np.ndarray:
    """A rounded body: nearness at its edge and at its top; it takes `width` view units to rise. Returns where it is seen."""
    cover = scene.canvas.fill(outline)
    low, high = heights
    return scene.put(cover, low + (high - low) * scene.canvas.inflate(cover, width) + relief, colour, gloss, vascular)


def swelling(scene: Scene, cover: np.ndarray, rise: float, soft: float, colour: Colour, vascular: float = 1.0) -> np.ndarray:
    """Lift the surface under a coverage so that it swells out of its surroundings without an edge. Returns where it is raised."""
    blurred = scene.canvas.soften(cover, soft)
    bell = np.clip(blurred / max(float(blurred.max()), 1e-3), 0, 1)
    bell = bell * bell * (3 - 2 * bell)
    scene.put(np.clip(3 * bell, 0, 1), scene.height + rise * bell + np.float32(1e-4), colour, vascular=vascular)
    return bell > 0.2


def depth(scene: Scene, nose: Nose, cover: np.ndarray, share: float = 0.85) -> None:
    """Sink the surface under a coverage by a share of its nearness: an opening or a groove."""
    scene.height = scene.height * (1 - share * cover)
    scene.stain(0.8 * share * cover, nose.lumen)
    scene.gloss *= 1 - cover


def mixed(one: Colour, two: Colour, share: float) -> Colour:
    """Colour between two; share of the second."""
    return tuple((1 - share) * a + share * b for a, b in zip(one, two, strict=True))


def curve(points: list[Point], count: int = 24) -> np.ndarray:
    """A smooth open line through points, [count, 2]: a polynomial of at most the third degree."""
    points = np.asarray(points, float)
    along = np.linspace(0, 1, len(points))
    fits = [np.polyfit(along, column, min(3, len(points) - 1)) for column in points.T]
    return np.stack([np.polyval(fit, np.linspace(0, 1, count)) for fit in fits], -1)


def strand(points: list[Point], widths: tuple[float, float], rng: np.random.Generator, wobble: float = 0.03) -> np.ndarray:
    """Outline of a band along a line whose width goes from the first to the second value, with round ends, [N, 2]."""
    line = curve([tuple(np.add(point, rng.normal(0, wobble, 2))) for point in points])
    along = np.gradient(line, axis=0)
    across = np.stack([-along[:, 1], along[:, 0]], -1) / np.maximum(np.hypot(*along.T), 1e-6)[:, None]
    uneven = 1 + 0.1 * np.sin(np.linspace(0, rng.uniform(6, 14), len(line)))
    # The ends are round: they narrow over half a width.
    from_end = np.minimum(np.arange(len(line)), np.arange(len(line))[::-1]) * np.hypot(*along.T)
    ends = np.sqrt(np.clip(from_end / (0.5 * max(widths)), 0.02, 1))
    half = (np.linspace(*widths, len(line)) / 2 * uneven * ends)[:, None]
    return np.vstack([line + across * half, (line - across * half)[::-1]])
