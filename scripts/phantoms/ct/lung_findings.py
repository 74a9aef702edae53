"""Findings of the lungs, airways and pleura, painted into a drawn phantom; each gives back its mask."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.ndimage import binary_dilation

from scripts.phantoms.ct.body import LOBES, SIGN, Body
from scripts.phantoms.ct.canvas import EVERYWHERE, Box, Canvas, curve, rotation, smooth_noise
from scripts.phantoms.ct.drawing import GAS, Contrast
from scripts.phantoms.ct.plan import Plan

_TISSUE = 30.0  # what lung turns to where it holds no air
_AROUND = np.array([v for v in np.ndindex(3, 3, 3) if v != (1, 1, 1)]) - 1.0
_AROUND /= np.linalg.norm(_AROUND, axis=1, keepdims=True)


class Scene(NamedTuple):
    """A drawn volume and what it was drawn from."""

    canvas: Canvas
    body: Body
    contrast: Contrast


def site(canvas: Canvas, inside: np.ndarray, radius: float, rng: np.random.Generator) -> np.ndarray:
    """Centre [3] of a ball that lies in a region, as far as forty draws find one.

    Args:
        inside: the region, [X, Y, Z] bool; if it is empty, the middle of the volume is given back.
    """
    voxels = np.argwhere(inside)
    if not len(voxels):
        return canvas.coordinates[:, *(n // 2 for n in canvas.shape)]
    tried = voxels[rng.integers(len(voxels), size=40)]
    reach = np.round(_AROUND * radius / canvas.step).astype(int)
    around = np.clip(tried[:, None] + reach, 0, np.array(canvas.shape) - 1)
    within = inside[tuple(np.moveaxis(around, -1, 0))].mean(1)
    return canvas.coordinates[:, *tried[np.argmax(within > 0.95) if within.max() > 0.95 else within.argmax()]]


def blob(
    canvas: Canvas, centre: np.ndarray, radii: np.ndarray, roughness: float, rng: np.random.Generator
) -> tuple[Box, np.ndarray]:
    """An ellipsoid with an uneven surface: its box and level."""
    radii = np.broadcast_to(radii, 3)
    box, level = canvas.ellipsoid(centre, radii * (1 + roughness), rotation(rng, 30))
    if level.size:
        grain = np.maximum(1.5, 0.7 * radii.min() / canvas.step)
        level = level + roughness * radii.min() * (smooth_noise(rng, level.shape, tuple(grain)) - 1)
    return box, level


def within(shape: tuple[Box, np.ndarray], inside: np.ndarray) -> tuple[Box, np.ndarray]:
    """A shape cut to a region [X, Y, Z] bool."""
    box, level = shape
    return box, np.where(inside[box], level, -9).astype(np.float32)


def blend(canvas: Canvas, shape: tuple[Box, np.ndarray], hu: float, share: float) -> None:
    """Let a shape's voxels turn into something else by a share, so that what was there stays visible."""
    box, level = shape
    part = canvas.hu[box]
    part += share * canvas.cover(level) * (hu - part)


def lobe(canvas: Canvas, side: str, part: str) -> np.ndarray:
    """A lobe, or with any other part the whole lung, [X, Y, Z] bool."""
    lobes = [number for key, number in LOBES.items() if key == (side, part)]
    lobes = lobes or [number for (of_side, _), number in LOBES.items() if of_side == side]
    return (canvas.mask >= min(lobes)) & (canvas.mask <= max(lobes))


def aerated(canvas: Canvas, inside: np.ndarray) -> np.ndarray:
    """What of a region of the lung holds air, so that a lesion there can be seen."""
    return inside & (canvas.hu < -500)


def paint_in_lungs(scene: Scene, plan: Plan, rng: np.random.Generator) -> np.ndarray:
    """Paint a finding of the lungs or the trachea.

    Returns:
        The finding's mask, [X, Y, Z] bool.
    """
    mask = np.zeros(scene.canvas.shape, bool)
    for side in plan.sides:
        mask |= LUNG_PAINTERS[plan.label](scene, plan, side, rng)
    return mask


def _nodule(scene: Scene, plan: Plan, side: str, rng: np.random.Generator) -> np.ndarray:
    canvas, inside = scene.canvas, lobe(scene.canvas, side, plan.part)
    radius = plan.size / 2
    shape = within(blob(canvas, site(canvas, aerated(canvas, inside), radius + 4, rng), radius, 0.12, rng), inside)
    canvas.paint(shape, rng.uniform(15, 60))
    return canvas.filled(shape)


def _consolidation(scene: Scene, plan: Plan, side: str, rng: np.random.Generator) -> np.ndarray:
    """Lung without air, but for the bronchi that run through it."""
    canvas, inside = scene.canvas, lobe(scene.canvas, side, plan.part)
    radius = plan.size / 2
    centre = site(canvas, aerated(canvas, inside), 0.8 * radius, rng)
    shape = within(blob(canvas, centre, radius * rng.uniform(0.85, 1.15, 3), 0.2, rng), inside)
    canvas.paint(shape, rng.uniform(10, 45))
    for offset in rng.uniform(-0.5, 0.5, (2, 3)):
        ends = centre + radius * (offset + np.outer((-0.7, 0.7), (SIGN[side] * 0.9, 0.2, -0.3)))
        blend(canvas, within(canvas.tube(ends, 1.8), inside), GAS, 0.8)
    return canvas.filled(shape)


def _ground_glass(scene: Scene, plan: Plan, side: str, rng: np.random.Generator) -> np.ndarray:
    """A large hazy patch and two smaller ones in one lobe, vessels visible through them."""
    canvas, inside = scene.canvas, lobe(scene.canvas, side, plan.part)
    mask = np.zeros(canvas.shape, bool)
    share = rng.uniform(0.26, 0.38)
    for scale in (1, 0.6, 0.5):
        radius = scale * plan.size / 2
        shape = within(blob(canvas, site(canvas, aerated(canvas, inside), 0.7 * radius, rng), radius, 0.3, rng), inside)
        blend(canvas, shape, _TISSUE, share)
        mask |= canvas.filled(shape)
    return mask


def _emphysema(scene: Scene, plan: Plan, side: str, rng: np.random.Generator) -> np.ndarray:
    """Many round holes in the lung."""
    canvas, inside = scene.canvas, lobe(scene.canvas, side, plan.part)
    mask = np.zeros(canvas.shape, bool)
    voxels = np.argwhere(inside)
    count = 70 if plan.part == "diffuse" else 40
    for voxel in voxels[rng.integers(len(voxels), size=count if len(voxels) else 0)]:
        radius = plan.size / 2 * rng.uniform(0.75, 1.25)
        shape = within(canvas.ellipsoid(canvas.coordinates[:, *voxel], radius), inside)
        blend(canvas, shape, -990, 0.95)
        mask |= canvas.filled(shape)
    return mask


def _mosaic(scene: Scene, plan: Plan, side: str, rng: np.random.Generator) -> np.ndarray:
    """Patches of dark and of bright lung with plain borders; the mask holds the dark ones."""
    canvas, inside = scene.canvas, lobe(scene.canvas, side, plan.part)
    patches = smooth_noise(rng, canvas.shape, tuple(np.maximum(1, 0.55 * plan.size / canvas.step)))
    airy = aerated(canvas, inside)
    canvas.hu[airy] += rng.uniform(52, 72) * np.tanh(5 * patches[airy])
    return inside & (patches < 0)


def _septal_thickening(scene: Scene, plan: Plan, side: str, rng: np.random.Generator) -> np.ndarray:
    """A net of thick lines: where one of two smooth noises changes its sign."""
    canvas, inside = scene.canvas, lobe(scene.canvas, side, plan.part)
    lines = np.zeros(canvas.shape, np.float32)
    for _ in range(2):
        noise = smooth_noise(rng, canvas.shape, tuple(np.maximum(1, 0.62 * plan.size / canvas.step)))
        np.maximum(lines, np.exp(-((noise / 0.17) ** 2)), out=lines)
    airy = aerated(canvas, inside)
    canvas.hu[airy] += rng.uniform(0.36, 0.48) * lines[airy] * (_TISSUE - canvas.hu[airy])
    return inside & (lines > 0.3)


def _peribronchial_thickening(scene: Scene, plan: Plan, side: str, rng: np.random.Generator) -> np.ndarray:
    """Thick walls of the bronchi to the lobes, their lumen still open."""
    canvas, inside = scene.canvas, lobe(scene.canvas, side, plan.part)
    mask = np.zeros(canvas.shape, bool)
    hu = rng.uniform(-60, 30)
    bronchi = [(points[: len(points) * 4 // 5], radii[: len(points) * 4 // 5]) for points, radii in scene.body.bronchi(side)[1:]]
    for points, radii in bronchi:
        shape = within(canvas.tube(points, np.maximum(radii, 2.6) + plan.size), inside)
        canvas.paint(shape, hu)
        mask |= canvas.filled(shape)
    for points, radii in bronchi:
        canvas.paint(within(canvas.tube(points, np.maximum(radii, 2.6)), inside), GAS)
    return mask


def _bronchiectasis(scene: Scene, plan: Plan, side: str, rng: np.random.Generator) -> np.ndarray:
    """A bundle of wide bronchi with visible walls."""
    canvas, inside = scene.canvas, lobe(scene.canvas, side, plan.part)
    mask, radius = np.zeros(canvas.shape, bool), plan.size / 2
    centre = site(canvas, aerated(canvas, inside), 22, rng)
    outward = centre - (SIGN[side] * 34, -14, 84)
    outward /= np.linalg.norm(outward)
    tubes = []
    for offset in rng.uniform(-17, 17, (5, 3)):
        start = centre + offset - 17 * outward
        tubes.append(curve([start, start + 17 * outward + rng.normal(0, 3, 3), start + 34 * outward + rng.normal(0, 5, 3)]))
    for points in tubes:
        shape = within(canvas.tube(points, radius + 2.6), inside)
        canvas.paint(shape, -60)
        mask |= canvas.filled(shape)
    for points in tubes:
        canvas.paint(within(canvas.tube(points, radius), inside), GAS)
    return mask


def _atelectasis(scene: Scene, plan: Plan, side: str, rng: np.random.Generator) -> np.ndarray:
    """A plate of collapsed lung near the diaphragm or the heart."""
    canvas, inside = scene.canvas, lobe(scene.canvas, side, plan.part)
    low = inside & (canvas.coordinates[2] < np.quantile(canvas.coordinates[2][inside], 0.45)) if inside.any() else inside
    half = plan.size / 2
    turn = rotation(rng, 28)
    shape = within(canvas.ellipsoid(site(canvas, low, 8, rng), (half, 0.75 * half, rng.uniform(4.5, 6)), turn), inside)
    canvas.paint(shape, rng.uniform(-5, 35))
    return canvas.filled(shape)


def _fibrotic_sequela(scene: Scene, plan: Plan, side: str, rng: np.random.Generator) -> np.ndarray:
    """Coarse strands that run from the apex into the lung, and a cap over it."""
    canvas, inside = scene.canvas, lobe(scene.canvas, side, plan.part)
    mask = np.zeros(canvas.shape, bool)
    hu = rng.uniform(-120, 20)
    for _ in range(8):
        start = np.array([SIGN[side] * rng.uniform(26, 58), rng.uniform(-52, 14), rng.uniform(172, 196)])
        end = start + np.array([rng.normal(0, 10), rng.normal(0, 10), -plan.size * rng.uniform(0.7, 1.1)])
        shape = within(canvas.tube(curve([start, (start + end) / 2 + rng.normal(0, 5, 3), end]), 3.6), inside)
        canvas.paint(shape, hu)
        mask |= canvas.filled(shape)
    cap = np.where(binary_dilation(inside) & (canvas.coordinates[2] > 150), 7 - scene.body.cage(canvas.at()), -9)
    canvas.paint((EVERYWHERE, cap), hu)
    return mask | ((cap > 0) & inside)


def _pleural_effusion(scene: Scene, plan: Plan, side: str, rng: np.random.Generator) -> np.ndarray:
    """Fluid along the back of the chest, deepest at the base, as in a patient who lies on it."""
    canvas, inside = scene.canvas, lobe(scene.canvas, side, plan.part)
    _, y, z = canvas.at()
    # The lung begins 2.5 mm within the cage.
    thickness = 2.5 + plan.size * np.clip((-y - 12) / 50, 0, 1) * np.clip((rng.uniform(50, 100) - z) / 60, 0, 1)
    level = np.where(binary_dilation(inside) & (thickness > 3), thickness - scene.body.cage(canvas.at()), -9)
    # The lung's edge is half lung, half wall: fluid fills that too.
    canvas.paint((EVERYWHERE, level), rng.uniform(2, 20))
    return (level > 0) & inside


def _secretions(scene: Scene, plan: Plan, side: str, rng: np.random.Generator) -> np.ndarray:
    """A lump of mucus on the wall of the trachea."""
    canvas = scene.canvas
    points, radius = scene.body.trachea()
    height = {"upper": 196, "middle": 164, "lower": 134}[plan.part] + rng.uniform(-8, 8)
    lump = 0.72 * radius
    angle = rng.uniform(np.pi, 2 * np.pi)
    centre = points[np.abs(points[:, 2] - height).argmin()] + (radius - 0.8 * lump) * np.array([np.cos(angle), np.sin(angle), 0])
    shape = within(canvas.ellipsoid(centre, (lump, lump, plan.size / 2)), canvas.mask == 16)
    canvas.paint(shape, rng.uniform(0, 30))
    return canvas.filled(shape)


LUNG_PAINTERS: dict[str, Callable[[Scene, Plan, str, np.random.Generator], np.ndarray]] = {
    "Emphysema": _emphysema,
    "Mosaic attenuation pattern": _mosaic,
    "Interlobular septal thickening": _septal_thickening,
    "Ground-glass opacity": _ground_glass,
    "Consolidation": _consolidation,
    "Atelectasis": _atelectasis,
    "Pulmonary fibrotic sequela": _fibrotic_sequela,
    "Pleural effusion": _pleural_effusion,
    "Peribronchial thickening": _peribronchial_thickening,
    "Bronchiectasis": _bronchiectasis,
    "Lung nodule": _nodule,
    "Tracheal secretions": _secretions,
}
