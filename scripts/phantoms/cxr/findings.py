"""Findings of a phantom chest film, painted into a drawn chest, each giving back its mask.

Lesions that replace air (consolidation, effusion, collapse, edema) thin out `Chest.air`, so that they never get denser
than the soft tissue beside them, as in a real film; solid ones (nodule, mass, hilum) add attenuation; a pneumothorax
takes vessels and texture away.
"""

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np

from scripts.phantoms.cxr.anatomy import SIGN, Body, Canvas, Chest, circle
from scripts.phantoms.cxr.plan import Plan

ZONE_RANGE = {"upper": (0.1, 0.32), "middle": (0.4, 0.58), "lower": (0.68, 0.9)}


def changed_body(body: Body, plans: list[Plan], rng: np.random.Generator) -> Body:
    """The body that findings change: a large heart (ratio 0.56 to 0.68), a diaphragm raised by volume loss."""
    for plan in plans:
        if plan.label == "cardiomegaly":
            body = replace(body, heart_ratio=rng.uniform(0.56, 0.68))
        if plan.form == "wedge" and plan.zone == "lower":
            body = replace(body, raised_dome={plan.side: rng.uniform(0.06, 0.18)})
    return body


def paint(chest: Chest, plan: Plan, rng: np.random.Generator) -> np.ndarray:
    """Paint one finding into the chest's layers.

    Returns:
        The finding's mask, [H, W] bool.
    """
    shape = np.zeros(chest.canvas.shape, bool)
    for side in plan.sides:
        shape |= tidy(_PAINTERS[plan.label](chest, plan, side, rng))
    return shape


def tidy(mask: np.ndarray) -> np.ndarray:
    """Drop crumbs: components smaller than 15 % of the largest."""
    count, parts, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count <= 2:
        return mask
    areas = stats[1:, cv2.CC_STAT_AREA]
    return np.isin(parts, 1 + np.flatnonzero(areas >= 0.15 * areas.max()))


def side_length(chest: Chest, area: float) -> float:
    """Side, in body units, of a square that covers this share of the film."""
    rows, columns = chest.canvas.shape
    return float(np.sqrt(area * rows * columns)) / chest.canvas.scale


def box_share(mask: np.ndarray) -> float:
    """Area of a mask's bounding box over the film's area."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return 0.0 if not len(rows) else (rows[-1] - rows[0] + 1) * (columns[-1] - columns[0] + 1) / mask.size


def _site(chest: Chest, plan: Plan, side: str, margin: float, rng: np.random.Generator) -> tuple[float, float]:
    """Centre (x, y) in the plan's zone that lies in visible lung, as far as a dozen draws find one."""
    body, best, best_lung = chest.body, (0.0, 0.0), -1.0
    bottom = body.dome_top(SIGN[side]) + 0.08
    low, high = ZONE_RANGE[plan.zone]
    cover = chest.canvas.soften(chest.lungs[side], 0.35 * margin)
    for _ in range(12):
        y = rng.uniform(low, high) * bottom
        wall = float(body.wall(y))
        inner = 0.22 + 0.4 * margin
        x, y = body.place(SIGN[side], rng.uniform(inner, max(inner + 0.05, wall - 0.55 * margin - 0.02)), y)
        column, row = np.clip(chest.canvas.pixels(np.array([x, y])) // 16, 0, np.array(cover.shape)[::-1] - 1)
        if cover[row, column] > best_lung:
            best, best_lung = (float(x), float(y)), float(cover[row, column])
        if best_lung > 0.9:
            break
    return best


def _blob(
    chest: Chest, centre: tuple[float, float], size: tuple[float, float], roughness: float, rng: np.random.Generator
) -> np.ndarray:
    """Height of an uneven hill, [H, W]: 1 in the middle, 0 at its edge, negative outside."""
    canvas = chest.canvas
    radius = np.sqrt(((canvas.x - centre[0]) / size[0]) ** 2 + ((canvas.y - centre[1]) / size[1]) ** 2)
    grain = float(np.mean(size))
    hill = 1 - radius
    return hill + roughness * canvas.noise(rng, (grain, grain * 0.5, grain * 0.25), 1.0) * np.clip(1.6 - radius, 0, 1)


def _consolidation(chest: Chest, plan: Plan, side: str, rng: np.random.Generator) -> np.ndarray:
    half = side_length(chest, plan.area) / 2
    stretch = np.exp(rng.uniform(-0.25, 0.25))
    centre = _site(chest, plan, side, half, rng)
    hill = _blob(chest, centre, (half * stretch, half / stretch), 0.22, rng)
    patch = np.clip(hill * 2.2, 0, 1) * np.clip(0.8 + 0.2 * chest.canvas.noise(rng, (0.12, 0.06), 1.0), 0.35, 1.1)
    tubes = np.zeros(chest.canvas.shape, np.uint8)
    toward = np.array(chest.body.place(SIGN[side], *chest.body.hilum(SIGN[side]))) - centre
    for spread in rng.uniform(-0.5, 0.5, 4):
        turn = np.array([[np.cos(spread), -np.sin(spread)], [np.sin(spread), np.cos(spread)]])
        direction = turn @ toward / max(1e-3, np.hypot(*toward))
        chest.canvas.stroke(tubes, [np.array(centre) + np.outer([-0.8, 0.9], direction * half)], 0.016, 200)
    patch *= 1 - 0.45 * cv2.GaussianBlur(tubes, (0, 0), 0.7).astype(np.float32) / 255
    patch *= np.clip(chest.lungs[side] * 1.2, 0, 1)
    chest.air *= 1 - rng.uniform(0.65, 0.95) * patch
    return (hill > 0.08) & (chest.lungs[side] > 0.4)


def _effusion(chest: Chest, plan: Plan, side: str, rng: np.random.Generator) -> np.ndarray:
    """Fluid with a meniscus that climbs along the chest wall; the level is searched for the planned area."""
    canvas, body, field = chest.canvas, chest.body, chest.fields[side]
    s = np.clip((canvas.x - body.midline(np.array(0.9 * body.lung_height))) * SIGN[side], 0, 1)
    rise = rng.uniform(0.12, 0.3)
    climb = rise * (np.clip((s - 0.25) / 0.7, 0, 1) ** 2.5 + 0.25 * np.clip((0.3 - s) / 0.3, 0, 1))
    height = canvas.y + climb
    inside = (field > 0.5) & (chest.heart < 0.5)
    share = plan.area / len(plan.sides)
    low, high = 0.35 * body.lung_height, body.lung_height + 0.1
    for _ in range(7):
        level = (low + high) / 2
        if box_share(tidy(inside & (height > level))) > share:
            low = level
        else:
            high = level
    fluid = np.clip((height - low) / rng.uniform(0.03, 0.09), 0, 1) * field
    chest.air *= 1 - rng.uniform(0.75, 0.97) * fluid
    chest.sharp *= 1 - 0.8 * fluid
    chest.added += rng.uniform(0.0, 0.05) * fluid
    return inside & (height > low)


def _pneumothorax(chest: Chest, plan: Plan, side: str, rng: np.random.Generator) -> np.ndarray:
    """Air beside the apex of a lung that has shrunk towards its base; it reaches down until it has the planned area."""
    canvas, body, field = chest.canvas, chest.body, chest.fields[side]
    anchor = body.place(SIGN[side], 0.2, rng.uniform(0.6, 0.95) * body.lung_height)
    edge = anchor + rng.uniform(0.74, 0.93) * (body.lung_outline(SIGN[side]) - anchor)
    lung = canvas.fill(edge, 0.006)
    visible = (field > 0.5) & (chest.lungs[side] > 0.3) & (lung < 0.5)
    low, high = 0.15, 0.9 * body.lung_height
    for _ in range(6):
        cut = (low + high) / 2
        if box_share(tidy(visible & (canvas.y < cut))) < plan.area:
            low = cut
        else:
            high = cut
    above = np.clip((high - canvas.y) / 0.06, 0, 1)
    gap = np.clip(field - lung, 0, 1) * above
    line = np.zeros(canvas.shape, np.uint8)
    canvas.stroke(line, [edge], 0.01, 255, closed=True)
    pleura = cv2.GaussianBlur(line, (0, 0), 0.55).astype(np.float32) / 255 * above * chest.lungs[side]
    chest.sharp *= 1 - gap
    chest.texture *= 1 - 0.85 * gap
    chest.air *= 1 + rng.uniform(0.2, 0.42) * gap - rng.uniform(0.02, 0.14) * lung * above
    chest.added += rng.uniform(0.15, 0.25) * pleura
    return visible & (canvas.y < high)


def _atelectasis(chest: Chest, plan: Plan, side: str, rng: np.random.Generator) -> np.ndarray:
    return (_wedge if plan.form == "wedge" else _plate)(chest, plan, side, rng)


def _plate(chest: Chest, plan: Plan, side: str, rng: np.random.Generator) -> np.ndarray:
    """One to three thin, nearly horizontal bands."""
    canvas = chest.canvas
    half = side_length(chest, plan.area) * rng.uniform(0.75, 0.95)
    centre = np.array(_site(chest, plan, side, half * 0.8, rng))
    bands = np.zeros(canvas.shape, np.uint8)
    tilt = rng.uniform(0.12, 0.35) * rng.choice([-1, 1])
    t = np.linspace(-1, 1, 9)
    for number in range(rng.integers(1, 4)):
        reach = half * (1 if number == 0 else rng.uniform(0.4, 0.8))
        bow = rng.uniform(-0.08, 0.08) * half * (1 - t**2)
        shift = number * rng.uniform(0.055, 0.09) * np.array([rng.uniform(-1, 1), rng.choice([-1, 1])])
        canvas.stroke(
            bands,
            [centre + shift + np.stack([reach * t, reach * t * tilt + bow], axis=-1)],
            rng.uniform(0.02, 0.042),
            255,
        )
    band = canvas.soften(bands.astype(np.float32) / 255, 0.008) * np.clip(chest.lungs[side] * 1.3, 0, 1)
    chest.added += rng.uniform(0.24, 0.4) * band
    return band > 0.35


def _wedge(chest: Chest, plan: Plan, side: str, rng: np.random.Generator) -> np.ndarray:
    """A triangle of collapsed lung from the hilum outwards, homogeneous, with straight or hollow edges.

    Of a few directions the one is taken that mediastinum and heart hide least.
    """
    canvas, visible = chest.canvas, np.clip(chest.lungs[side] * 1.3, 0, 1)
    length = side_length(chest, plan.area)
    low, high = {"upper": (-1.25, -0.6), "middle": (-0.15, 0.25), "lower": (0.5, 1.15)}[plan.zone]
    shapes = [canvas.fill(_triangle(chest.body, side, angle, length, rng)) for angle in rng.uniform(low, high, 4)]
    shape = max(shapes, key=lambda triangle: float((triangle * visible).sum()))
    wedge = canvas.soften(shape, 0.018) * visible
    chest.air *= 1 - rng.uniform(0.6, 0.9) * wedge
    chest.sharp *= 1 - 0.5 * wedge
    return wedge > 0.4


def _triangle(body: Body, side: str, angle: float, length: float, rng: np.random.Generator) -> np.ndarray:
    """Outline of a triangle that opens from the hilum, [N, 2]; angle 0 is sideways, a positive one downwards."""
    sign = SIGN[side]
    direction = np.array([sign * np.cos(angle), np.sin(angle)])
    across = np.array([-direction[1], direction[0]])
    reach, spread = length * rng.uniform(1.0, 1.2), length * rng.uniform(0.36, 0.5)
    apex = np.array(body.place(sign, 0.2, body.hilum(sign)[1])) + direction * rng.uniform(0.0, 0.1)
    far, t = apex + direction * reach, np.linspace(0, 1, 8)[:, None]
    hollow = rng.uniform(0.0, 0.14) * length * np.sin(np.pi * t)
    one = apex + (far + across * spread - apex) * t - across * hollow
    two = apex + (far - across * spread - apex) * t + across * hollow
    return np.vstack([one, two[::-1]])


def _round(chest: Chest, centre: tuple[float, float], radius: float, lobes: int, rng: np.random.Generator) -> np.ndarray:
    """Outline of a round or lobulated solid."""
    outline = circle((0.0, 0.0), radius, 48)
    angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    wave = sum(rng.uniform(0.02, 0.07) * np.cos(k * angle + rng.uniform(0, 6.3)) for k in range(2, 2 + lobes))
    return np.asarray(centre) + outline * (1 + wave)[:, None]


def _solid(chest: Chest, plan: Plan, side: str, rng: np.random.Generator) -> np.ndarray:
    """Nodule or mass: thicker in the middle, a margin that is sharp or a little soft."""
    canvas, mass = chest.canvas, plan.label == "mass"
    radius = side_length(chest, plan.area) / 2
    centre = _site(chest, plan, side, radius, rng)
    outline = _round(chest, centre, radius, 4 if mass else 2, rng)
    sharp = canvas.fill(outline)
    shape = canvas.soften(sharp, rng.uniform(0.008, 0.02))
    dome = np.sqrt(np.clip(1 - ((canvas.x - centre[0]) ** 2 + (canvas.y - centre[1]) ** 2) / (1.25 * radius) ** 2, 0, 1))
    strength = rng.uniform(0.28, 0.45) if mass else rng.uniform(0.32, 0.5)
    chest.sharp *= 1 - 0.6 * shape
    chest.added += strength * shape * (0.5 + 0.5 * dome) * np.clip(1.5 * chest.fields[side], 0, 1)
    return (sharp > 0.5) & (chest.fields[side] > 0.3)


def _edema(chest: Chest, plan: Plan, side: str, rng: np.random.Generator) -> np.ndarray:
    """Haze around the hilum, blurred and widened vessels, short septal lines at the base."""
    canvas, body, sign = chest.canvas, chest.body, SIGN[side]
    half = side_length(chest, plan.area / 2) / 2
    s, y = body.hilum(sign)
    x, y = body.place(sign, s + 0.5 * half, y + rng.uniform(0.0, 0.15))
    hill = _blob(chest, (float(x), float(y)), (half * 0.92, half * 1.3), 0.16, rng)
    haze = np.clip(1.4 * hill, 0, 1) * chest.lungs[side]
    chest.air *= 1 - rng.uniform(0.25, 0.48) * haze
    chest.sharp += chest.lungs[side] * rng.uniform(0.0, 0.3)
    lines = np.zeros(canvas.shape, np.uint8)
    for level in rng.uniform(0.7, 0.92, rng.integers(3, 8)) * body.lung_height:
        wall = float(body.wall(level)) - 0.01
        canvas.stroke(lines, [body.place(sign, np.array([wall - rng.uniform(0.07, 0.14), wall]), level)], 0.008, 200)
    chest.added += 0.06 * cv2.GaussianBlur(lines, (0, 0), 0.6).astype(np.float32) / 255 * chest.lungs[side]
    blurred = canvas.soften(chest.vessels, 0.025)
    chest.vessels = chest.vessels + (1.7 * blurred - chest.vessels) * np.clip(haze * 1.5, 0, 1) * 0.8
    return (hill > 0.12) & (chest.lungs[side] > 0.4)


def _reticular(chest: Chest, plan: Plan, side: str, rng: np.random.Generator) -> np.ndarray:
    """A net of fine lines, denser towards the periphery, over a haze."""
    canvas, body = chest.canvas, chest.body
    half = side_length(chest, plan.area / len(plan.sides)) / 2
    low, high = ZONE_RANGE[plan.zone]
    y = rng.uniform(low + 0.05, high - 0.05) * (body.dome_top(SIGN[side]) + 0.08)
    x, y = body.place(SIGN[side], float(body.wall(y)) - half * rng.uniform(0.75, 1.0), y)
    hill = _blob(chest, (float(x), float(y)), (half, half * 1.1), 0.2, rng)
    region = np.clip(2.2 * hill, 0, 1) * np.clip(chest.lungs[side] * 1.2, 0, 1)
    grain = max(0.035, 3.2 / canvas.scale)
    net = sum(np.exp(-((canvas.noise(rng, (grain * k,), 1.0) / 0.22) ** 2)) for k in (1.0, 1.5))
    net = cv2.GaussianBlur(net.astype(np.float32), (0, 0), 0.6)
    chest.air *= 1 - rng.uniform(0.2, 0.4) * region
    chest.added += rng.uniform(0.2, 0.34) * region * (net - 0.2)
    return (hill > 0.08) & (chest.lungs[side] > 0.4)


def _hilar(chest: Chest, plan: Plan, side: str, rng: np.random.Generator) -> np.ndarray:
    """A lobulated swelling of the hilum."""
    canvas, body, sign = chest.canvas, chest.body, SIGN[side]
    size = side_length(chest, plan.area / len(plan.sides))
    s, y = body.hilum(sign)
    total = np.zeros(canvas.shape, np.float32)
    for step in (-0.6, 0.0, 0.6):
        radius = size * rng.uniform(0.26, 0.36)
        x, level = body.place(sign, s + rng.uniform(0.0, 0.1) + 0.1 * size, y + 0.02 + step * size * 0.45)
        total = np.maximum(total, canvas.fill(_round(chest, (float(x), float(level)), radius, 2, rng)))
    chest.added += rng.uniform(0.18, 0.3) * canvas.soften(total, 0.02) * np.clip(chest.fields[side], 0, 1)
    return (total > 0.5) & (chest.lungs[side] > 0.25)


def _cardiomegaly(chest: Chest, plan: Plan, side: str, rng: np.random.Generator) -> np.ndarray:
    """The heart is part of the body (see `changed_body`); its mask is the whole heart."""
    return chest.heart > 0.5


_PAINTERS: dict[str, Callable[[Chest, Plan, str, np.random.Generator], np.ndarray]] = {
    "consolidation": _consolidation,
    "pleural effusion": _effusion,
    "pneumothorax": _pneumothorax,
    "atelectasis": _atelectasis,
    "nodule": _solid,
    "mass": _solid,
    "cardiomegaly": _cardiomegaly,
    "pulmonary edema": _edema,
    "reticular opacity": _reticular,
    "hilar enlargement": _hilar,
}


def boxes_of(mask: np.ndarray, canvas: Canvas, bilateral: bool) -> list[list[int]]:
    """Bounding boxes [x, y, w, h] in pixels: one of the whole mask, or one for each side of the body."""
    parts = [mask & (canvas.x < 0), mask & (canvas.x >= 0)] if bilateral else [mask]
    return [list(cv2.boundingRect(part.astype(np.uint8))) for part in parts if part.any()]
