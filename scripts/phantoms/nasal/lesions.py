"""Lesions and deposits that are put on a region: polyp, pus, mucus, crusts, blood, mound and masses of the nasopharynx.

Every function returns where the lesion is seen, [H, W] bool.
"""

import math

import numpy as np

from scripts.phantoms.nasal.anatomy import BLOOD, CRUST, GREY, MUCUS, PUS, RED, SLOUGH, Nose, blob, cushion, mixed, strand, swelling
from scripts.phantoms.nasal.canvas import Point, Scene


def polyp(scene: Scene, centre: Point, size: float, stalk: Point) -> np.ndarray:
    """A smooth grey translucent teardrop that hangs from `stalk`; size is half its width."""
    rng = scene.rng
    (x, y), (top_x, top_y) = centre, stalk
    neck = cushion(
        scene,
        strand([stalk, ((x + top_x) / 2, (y + top_y) / 2), centre], (0.35 * size, 1.2 * size), rng),
        (0.4, 0.7),
        GREY,
        size,
        1.5,
        0.2,
    )
    outline = blob(centre, (size, size * rng.uniform(1.1, 1.35)), rng, (0.01, 0.04))
    body = cushion(scene, outline, (0.48, 0.93), GREY, 1.3 * size, 2.2, 0.25)
    rim = scene.canvas.fill(outline) - scene.canvas.inflate(scene.canvas.fill(outline), size)
    scene.stain(0.3 * np.clip(rim, 0, 1), mixed(GREY, RED, 0.4))
    return neck | body


def pus(scene: Scene, points: list[Point], widths: tuple[float, float]) -> np.ndarray:
    """A yellow-green stream that widens downwards."""
    outline = strand(points, widths, scene.rng)
    return _on_top(scene, outline, 0.05, PUS, 1.8, 0.95)


def mucus(scene: Scene, points: list[Point], width: float) -> np.ndarray:
    """A whitish, half transparent strand."""
    outline = strand(points, (width, 0.7 * width), scene.rng)
    return _on_top(scene, outline, 0.04, MUCUS, 2.6, 0.6)


def _on_top(scene: Scene, outline: np.ndarray, thickness: float, colour: tuple, gloss: float, opacity: float) -> np.ndarray:
    """Fluid that lies on whatever is there; in the depth it is seen too."""
    cover = scene.canvas.fill(outline)
    layer = scene.canvas.inflate(cover, 0.12)
    scene.height = np.maximum(scene.height, 0.42 * cover) + thickness * layer
    scene.stain(opacity * np.clip(layer * 1.6, 0, 1), colour)
    scene.gloss += cover * (gloss - scene.gloss)
    scene.vascular *= 1 - opacity * cover
    return cover > 0.5


def crusts(scene: Scene, centre: Point, size: float) -> np.ndarray:
    """Dry yellow-brown plates with ragged edges, scattered within `size` of a place."""
    rng, canvas = scene.rng, scene.canvas
    cover = np.zeros(canvas.shape, np.float32)
    for _ in range(int(rng.integers(4, 7))):
        place = tuple(np.add(centre, rng.normal(0, 0.42, 2) * (size, 0.6 * size)))
        plate = blob(place, (size * rng.uniform(0.22, 0.45), size * rng.uniform(0.14, 0.3)), rng, (0.05, 0.14), rng.uniform(0, 3))
        cover = np.maximum(cover, canvas.fill(plate))
    grain = canvas.noise(rng, 0.05)
    scene.height = np.maximum(scene.height, 0.32 * cover) + cover * (0.1 + 0.02 * grain)
    shade = np.clip(0.85 + 0.1 * grain, 0, 1) * cover
    scene.stain(shade, CRUST)
    scene.gloss *= 1 - 0.9 * cover
    scene.vascular *= 1 - cover
    return cover > 0.5


def bleeding(scene: Scene, centre: Point, size: float) -> np.ndarray:
    """A red spot with dilated vessels around it and a trickle of blood."""
    rng, canvas = scene.rng, scene.canvas
    x, y = centre
    spot = canvas.fill(blob(centre, (0.6 * size, 0.55 * size), rng, (0.03, 0.1)), 0.012)
    trickle = canvas.fill(strand([centre, (x - 0.03, y + 1.2 * size), (x - 0.06, y + 3.2 * size)], (0.4 * size, 0.16 * size), rng))
    flush = canvas.soften(spot, 0.5 * size)
    scene.stain(0.5 * np.clip(flush, 0, 1), RED)
    cover = np.maximum(spot, trickle)
    scene.stain(0.9 * cover, BLOOD)
    scene.height = scene.height + 0.03 * cover
    scene.gloss += cover
    return cover > 0.5


def mound(scene: Scene, nose: Nose, centre: Point, size: Point, furrows: int) -> np.ndarray:
    """Lymphoid hyperplasia: a symmetric smooth mound, with longitudinal furrows or (0) without."""
    rng, canvas = scene.rng, scene.canvas
    cover = canvas.fill(blob(centre, (1.12 * size[0], 1.12 * size[1]), rng, (0.0, 0.03)))
    seen = swelling(scene, cover, 0.42, 0.42 * min(size), nose.mucosa)
    if furrows:
        # The lobes between the furrows spread downwards a little.
        fan = (canvas.x - np.float32(centre[0])) / (size[0] * (1 + 0.15 * (canvas.y - np.float32(centre[1])) / size[1]))
        fan = fan + 0.03 * canvas.noise(rng, 0.4)
        wave = np.abs(np.sin(0.5 * np.pi * (furrows * fan + furrows + 1)))
        lines = np.clip(1 - wave / 0.5, 0, 1) * canvas.soften(seen.astype(np.float32), 0.04)
        scene.height = scene.height - 0.13 * lines
        scene.stain(0.5 * lines, mixed(nose.lumen, RED, 0.3))
    return seen


def mass(scene: Scene, nose: Nose, centre: Point, size: Point, form: str) -> np.ndarray:
    """A carcinoma: "nodular", "ulcerated", "fungating" (cauliflower) or "submucosal" (a smooth bulge under intact mucosa).

    What was marked before is hidden by it, unless it lies under the mucosa.
    """
    rng, canvas = scene.rng, scene.canvas
    if form == "submucosal":
        cover = canvas.fill(blob(centre, (1.12 * size[0], 1.12 * size[1]), rng, (0.01, 0.05), rng.uniform(0, 3)))
        return swelling(scene, cover, 0.42, 0.42 * min(size), nose.mucosa, vascular=1.3)
    if form == "fungating":
        return _fungating(scene, nose, centre, size)
    outline = blob(centre, size, rng, (0.04, 0.1), rng.uniform(0, 3))
    nodules = canvas.noise(rng, 0.3, 0.14)
    colour = mixed(nose.mucosa, RED, rng.uniform(0.0, 0.3))
    seen = cushion(scene, outline, (0.45, 0.82), colour, 0.6 * min(size), vascular=2.0, relief=0.07 * nodules)
    if form == "ulcerated":
        x, y = np.add(centre, rng.uniform(-0.15, 0.15, 2) * size)
        crater = canvas.fill(blob((float(x), float(y)), (0.55 * size[0], 0.5 * size[1]), rng, (0.05, 0.12)))
        rim = np.clip(2 * canvas.soften(crater, 0.04) * (1 - crater), 0, 1)
        scene.height = scene.height + 0.06 * rim - crater * (0.2 + 0.03 * canvas.noise(rng, 0.1))
        scene.stain(0.8 * rim, RED)
        slough = np.clip(0.75 + 0.3 * canvas.noise(rng, 0.12), 0, 1) * crater
        scene.stain(0.85 * slough, SLOUGH)
        scene.vascular *= 1 - crater
        scene.gloss *= 1 - 0.5 * crater
    elif rng.random() < 0.5:
        bleeding(scene, (centre[0] + 0.3 * size[0], centre[1]), 0.12)
    scene.hide(seen)
    return seen


def _fungating(scene: Scene, nose: Nose, centre: Point, size: Point) -> np.ndarray:
    """Many small round lumps, the near ones in the middle."""
    rng = scene.rng
    seen = cushion(scene, blob(centre, size, rng, (0.04, 0.1)), (0.4, 0.6), mixed(nose.mucosa, RED, 0.3), 0.5 * min(size))
    for number in range(16):
        angle, reach = 2.4 * number, 0.95 * (1 - number / 16) ** 0.5
        place = (centre[0] + reach * math.cos(angle) * size[0], centre[1] + reach * math.sin(angle) * size[1])
        radius = rng.uniform(0.2, 0.34) * min(size)
        near = 0.92 - 0.3 * reach
        lump = blob(place, (radius, radius), rng, (0.0, 0.06))
        colour = mixed(nose.mucosa, (RED, GREY)[int(rng.integers(2))], rng.uniform(0.1, 0.4))
        seen |= cushion(scene, lump, (near - 0.22, near), colour, radius, 1.2, 0.6)
    if rng.random() < 0.6:
        bleeding(scene, (centre[0] - 0.2 * size[0], centre[1] + 0.2 * size[1]), 0.11)
    scene.hide(seen)
    return seen
