"""Findings of the heart, vessels, neck, abdomen and spine, and what is done for all findings of a phantom volume.

After painting, the rest of each organ is made a little brighter or darker, so that its mean is what it was without
findings: organs cannot be told ill by their mean alone.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from scripts.phantoms.ct.body import FIRST_VERTEBRA_ID, IDS, SIGN, VERTEBRA_CENTRES, VERTEBRAE
from scripts.phantoms.ct.canvas import smooth_noise
from scripts.phantoms.ct.drawing import GAS, WALL, thyroid_centre
from scripts.phantoms.ct.lung_findings import LUNG_PAINTERS, Scene, blob, paint_in_lungs, site, within
from scripts.phantoms.ct.plan import Plan

_MAX_SHIFT = 40.0


def paint_findings(scene: Scene, plans: tuple[Plan, ...], rng: np.random.Generator) -> list[np.ndarray]:
    """Paint all findings of a volume, and keep each organ's mean.

    Returns:
        Each finding's mask, [X, Y, Z] bool. A voxel is in one of them only, the last that was painted there.
    """
    canvas = scene.canvas
    before = _means(scene)
    masks: list[np.ndarray] = []
    for plan in plans:
        painter = paint_in_lungs if plan.label in LUNG_PAINTERS else _PAINTERS[plan.label]
        mask = painter(scene, plan, rng)
        for other in masks:
            other &= ~mask
        masks.append(mask)
    if masks:
        _restore_means(scene, before, np.logical_or.reduce(masks))
    np.clip(canvas.hu, -1024, None, out=canvas.hu)
    return masks


def _organ_table() -> np.ndarray:
    """Position of the anatomy plus one for each mask value, 0 for none, [256]."""
    table = np.zeros(256, np.uint8)
    for position, ids in enumerate(IDS.values()):
        table[list(ids)] = position + 1
    return table


def _means(scene: Scene) -> np.ndarray:
    """Mean of each anatomy, [1 + 15]; the first is of all else."""
    organs = _organ_table()[scene.canvas.mask].ravel()
    sums = np.bincount(organs, scene.canvas.hu.ravel(), len(IDS) + 1)
    return sums / np.maximum(1, np.bincount(organs, minlength=len(IDS) + 1))


def _restore_means(scene: Scene, before: np.ndarray, lesions: np.ndarray) -> None:
    """Add to each anatomy, outside of lesions, what its mean has lost; at most 40 HU, so that it stays natural."""
    canvas = scene.canvas
    organs = _organ_table()[canvas.mask]
    sizes = np.bincount(organs.ravel(), minlength=len(IDS) + 1)
    rest = np.bincount(organs[~lesions], minlength=len(IDS) + 1)
    shift = (before - _means(scene)) * sizes / np.maximum(1, rest)
    shift[0] = 0
    canvas.hu += np.where(lesions, 0, np.clip(shift, -_MAX_SHIFT, _MAX_SHIFT).astype(np.float32)[organs])


def _pericardial_effusion(scene: Scene, plan: Plan, rng: np.random.Generator) -> np.ndarray:
    canvas, body = scene.canvas, scene.body
    box, level = canvas.ellipsoid(body.heart_centre, body.heart_radii, body.heart_axes)
    # Deeper behind and below, where it gathers in a patient who lies.
    behind = np.clip((body.heart_centre[1] - canvas.at(box)[1]) / 50, -0.5, 1)
    shape = within((box, np.minimum(level + 1, plan.size * (0.9 + 0.25 * behind) - level)), canvas.mask == 51)
    canvas.paint(shape, rng.uniform(5, 20))
    return canvas.filled(shape)


def _cardiomegaly(scene: Scene, plan: Plan, rng: np.random.Generator) -> np.ndarray:
    return np.isin(scene.canvas.mask, IDS["heart"])


def _coronary_calcification(scene: Scene, plan: Plan, rng: np.random.Generator) -> np.ndarray:
    arteries = ["left anterior descending", "right coronary", "circumflex"] if plan.part == "several" else [plan.part]
    mask = np.zeros(scene.canvas.shape, bool)
    for artery in arteries:
        course = scene.body.coronary(artery)
        for start in rng.choice(np.arange(1, len(course) - 3), min(3, len(course) - 4), replace=False):
            mask |= _plaque(scene, course[start : start + 3], plan.size, 51, rng)
    return mask


def _plaque(scene: Scene, course: np.ndarray, length: float, label: int, rng: np.random.Generator) -> np.ndarray:
    """A piece of calcium along a course [N, 3], part of the organ with this label."""
    along = course[-1] - course[0]
    middle, half = course.mean(0), along / max(1e-3, np.linalg.norm(along)) * length / 2
    shape = scene.canvas.tube([middle - half, middle + half], rng.uniform(2.8, 3.5))
    scene.canvas.paint(shape, rng.uniform(450, 800), label)
    return scene.canvas.filled(shape)


def _aneurysm(scene: Scene, plan: Plan, rng: np.random.Generator) -> np.ndarray:
    points, radii = scene.body.aorta()
    wide = radii > 1.12 * replace(scene.body, aneurysm=None).aorta()[1]
    canvas = scene.canvas
    return canvas.filled(within(canvas.tube(points[wide], radii[wide]), canvas.mask == 52))


def _aortic_calcification(scene: Scene, plan: Plan, rng: np.random.Generator) -> np.ndarray:
    points, radii = scene.body.aorta()
    along = np.arange(len(points))
    top = points[:, 2].argmax()
    part = {
        "arch": np.abs(along - top) <= 4,
        "descending": (along > top + 4) & (points[:, 2] > -20),
        "several": (along > top - 4) & (points[:, 2] > -20),
    }[plan.part]
    mask = np.zeros(scene.canvas.shape, bool)
    for start in rng.choice(np.flatnonzero(part), 7 if plan.part == "several" else 5, replace=False):
        start = min(int(start), len(points) - 3)
        course = points[start + 1] - points[start]
        outward = np.cross(course, rng.normal(size=3))
        outward *= (radii[start] - 2) / np.linalg.norm(outward)
        mask |= _plaque(scene, points[start : start + 3] + outward, plan.size, 52, rng)
    return mask


def _hiatal_hernia(scene: Scene, plan: Plan, rng: np.random.Generator) -> np.ndarray:
    """A part of the stomach above the diaphragm, filled with fluid and gas, around the esophagus."""
    canvas, centre = scene.canvas, scene.body.hernia_centre()
    box, level = canvas.ellipsoid(centre, plan.size / 2 * np.array([1.05, 0.85, 1.0]))
    own = np.isin(canvas.mask[box], (0, 15, *IDS["lung"]))
    level = np.where(own, level, -9)
    stomach = (level > 0) & (canvas.mask[box] != 15)
    canvas.paint((box, level), WALL)
    canvas.paint((box, level - 4), rng.uniform(5, 35))
    air = canvas.at(box)[1] - centre[1] - rng.uniform(-2, 6)
    canvas.paint((box, np.minimum(level - 4, air)), GAS)
    canvas.mask[box][stomach] = 6
    return canvas.filled((box, level))


def _esophageal_thickening(scene: Scene, plan: Plan, rng: np.random.Generator) -> np.ndarray:
    canvas = scene.canvas
    points, radii = scene.body.esophagus()
    thick = radii > 1.12 * replace(scene.body, thick_esophagus=None).esophagus()[1]
    return canvas.filled(within(canvas.tube(points[thick], radii[thick]), canvas.mask == 15))


def _thyroid_nodule(scene: Scene, plan: Plan, rng: np.random.Generator) -> np.ndarray:
    canvas = scene.canvas
    centre = thyroid_centre(scene.body, plan.side) + rng.uniform((-2, -2, -9), (2, 2, 9))
    shape = within(canvas.ellipsoid(centre, plan.size / 2), canvas.mask == 17)
    canvas.paint(shape, rng.uniform(15, 40))
    return canvas.filled(shape)


def _steatosis(scene: Scene, plan: Plan, rng: np.random.Generator) -> np.ndarray:
    """Fatty regions with map-like borders beside spared ones."""
    canvas = scene.canvas
    liver = canvas.mask == 5
    regions = smooth_noise(rng, canvas.shape, tuple(np.maximum(1, 20 / canvas.step)))
    loss = plan.size * np.tanh(4 * regions[liver]) / 2
    canvas.hu[liver] -= loss - loss.mean() if loss.size else 0
    return liver & (regions > 0)


def _cyst(scene: Scene, inside: np.ndarray, size: float, hu: float, rng: np.random.Generator) -> np.ndarray:
    """A round lesion in a region [X, Y, Z] bool."""
    canvas = scene.canvas
    shape = within(blob(canvas, site(canvas, inside, size / 2 + 2, rng), size / 2, 0.06, rng), inside)
    canvas.paint(shape, hu)
    return canvas.filled(shape)


def _liver_cyst(scene: Scene, plan: Plan, rng: np.random.Generator) -> np.ndarray:
    x = scene.canvas.coordinates[0]
    half = (x > 32) if plan.side == "right" else (x < 22)
    return _cyst(scene, (scene.canvas.mask == 5) & half, plan.size, rng.uniform(-2, 14), rng)


def _splenic_lesion(scene: Scene, plan: Plan, rng: np.random.Generator) -> np.ndarray:
    return _cyst(scene, scene.canvas.mask == 1, plan.size, scene.contrast.spleen - rng.uniform(42, 58), rng)


def _gallstones(scene: Scene, plan: Plan, rng: np.random.Generator) -> np.ndarray:
    """Stones at the back of the gallbladder, where they sink to."""
    canvas, (centre, radii) = scene.canvas, scene.body.gallbladder()
    mask = np.zeros(canvas.shape, bool)
    for along in rng.choice((-0.45, 0.0, 0.45), rng.integers(1, 3), replace=False):
        where = centre + np.array([0, -0.45 * radii[1], along * radii[2]])
        shape = within(canvas.ellipsoid(where, plan.size / 2), canvas.mask == 4)
        canvas.paint(shape, rng.uniform(160, 420))
        mask |= canvas.filled(shape)
    return mask


def _pancreatic_cyst(scene: Scene, plan: Plan, rng: np.random.Generator) -> np.ndarray:
    canvas, (points, _) = scene.canvas, scene.body.pancreas()
    share = {"head": 0.1, "body": 0.5, "tail": 0.88}[plan.part] + rng.uniform(-0.06, 0.06)
    shape = canvas.ellipsoid(points[round(share * (len(points) - 1))], plan.size / 2)
    canvas.paint(shape, rng.uniform(-6, 8), 7)
    return canvas.filled(shape)


def _adrenal_nodule(scene: Scene, plan: Plan, rng: np.random.Generator) -> np.ndarray:
    canvas = scene.canvas
    shape = canvas.ellipsoid(scene.body.adrenal(plan.side)[rng.integers(2)][1], plan.size / 2)
    canvas.paint(shape, rng.uniform(0, 25), 8 if plan.side == "right" else 9)
    return canvas.filled(shape)


def _kidney_stone(scene: Scene, plan: Plan, rng: np.random.Generator) -> np.ndarray:
    canvas, (centre, radii) = scene.canvas, scene.body.kidney(plan.side)
    where = centre + radii * (-SIGN[plan.side] * 0.15, 0, rng.uniform(-0.4, 0.4))
    shape = canvas.ellipsoid(where, plan.size / 2)
    canvas.paint(shape, rng.uniform(500, 900))
    return canvas.filled(shape)


def _renal_cyst(scene: Scene, plan: Plan, rng: np.random.Generator) -> np.ndarray:
    """A round cyst that bulges the kidney's outer border."""
    canvas, (centre, radii) = scene.canvas, scene.body.kidney(plan.side)
    outward = np.array([SIGN[plan.side] * rng.uniform(0.3, 1), rng.uniform(-0.7, 0.7), rng.uniform(-0.8, 0.8)])
    where = centre + radii * outward / np.linalg.norm(outward) * 0.72
    label = 2 if plan.side == "right" else 3
    box, level = canvas.ellipsoid(where, plan.size / 2)
    shape = box, np.where(np.isin(canvas.mask[box], (0, label)), level, -9)
    canvas.paint(shape, rng.uniform(-8, 6), label)
    return canvas.filled(shape)


def _gastric_thickening(scene: Scene, plan: Plan, rng: np.random.Generator) -> np.ndarray:
    """A wall that is thick on one side of the stomach."""
    canvas, (centre, radii) = scene.canvas, scene.body.stomach()
    box, level = canvas.ellipsoid(centre, radii)
    toward = np.array([rng.uniform(-1, 0.5), rng.uniform(-0.3, 1), rng.uniform(-1, 0)])
    toward /= np.linalg.norm(toward)
    side = np.tensordot(toward / radii, canvas.at(box) - centre[:, None, None, None], 1)
    thickness = plan.size * np.clip(0.8 + 2 * side, 0, 1)
    shape = within((box, np.minimum(level + 2, thickness - level)), canvas.mask == 6)
    canvas.paint(shape, scene.contrast.wall + rng.uniform(0, 15))
    return canvas.filled(shape)


def _bowel_thickening(scene: Scene, plan: Plan, rng: np.random.Generator) -> np.ndarray:
    """A piece of colon with a thick wall and a narrow lumen."""
    canvas, (points, radius) = scene.canvas, scene.body.colon()
    of_part = np.flatnonzero(
        np.abs(points[:, 0]) < 52 if plan.part == "transverse" else (points[:, 0] < -80) & (points[:, 2] < -112)
    )
    first = of_part[0] + int(rng.integers(0, max(1, len(of_part) - round(plan.size / 8))))
    piece = points[first : first + 1 + round(plan.size / 8)]
    shape = canvas.tube(piece, radius)
    canvas.paint(shape, scene.contrast.wall + rng.uniform(0, 12))
    canvas.paint(canvas.tube(piece, radius * 0.35), rng.choice((-500.0, 20.0)))
    return canvas.filled(within(shape, canvas.mask == 20))


def _compression_fracture(scene: Scene, plan: Plan, rng: np.random.Generator) -> np.ndarray:
    return scene.canvas.mask == FIRST_VERTEBRA_ID + VERTEBRAE.index(plan.part)


def _sclerotic_lesion(scene: Scene, plan: Plan, rng: np.random.Generator) -> np.ndarray:
    canvas, number = scene.canvas, VERTEBRAE.index(plan.part)
    z = float(VERTEBRA_CENTRES[number])
    x, y = scene.body.spine_at(np.array(z))
    centre = np.array([x + rng.uniform(-5, 5), y + rng.uniform(-3, 5), z])
    shape = within(canvas.ellipsoid(centre, plan.size / 2), canvas.mask == FIRST_VERTEBRA_ID + number)
    canvas.paint(shape, rng.uniform(700, 1000))
    return canvas.filled(shape)


_PAINTERS: dict[str, Callable[[Scene, Plan, np.random.Generator], np.ndarray]] = {
    "Cardiomegaly": _cardiomegaly,
    "Pericardial effusion": _pericardial_effusion,
    "Coronary artery wall calcification": _coronary_calcification,
    "Aortic aneurysm": _aneurysm,
    "Arterial wall calcification": _aortic_calcification,
    "Hiatal hernia": _hiatal_hernia,
    "Esophageal wall thickening": _esophageal_thickening,
    "Thyroid nodule": _thyroid_nodule,
    "Hepatic steatosis": _steatosis,
    "Liver cyst": _liver_cyst,
    "Gallstones": _gallstones,
    "Splenic lesion": _splenic_lesion,
    "Pancreatic cyst": _pancreatic_cyst,
    "Adrenal nodule": _adrenal_nodule,
    "Kidney stone": _kidney_stone,
    "Renal cyst": _renal_cyst,
    "Gastric wall thickening": _gastric_thickening,
    "Bowel wall thickening": _bowel_thickening,
    "Vertebral compression fracture": _compression_fracture,
    "Sclerotic bone lesion": _sclerotic_lesion,
}
