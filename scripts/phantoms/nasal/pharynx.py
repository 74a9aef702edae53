"""The four regions behind the nasal cavity, each with the findings that change its shape; see `scripts.phantoms.nasal.cavity`."""

from collections.abc import Callable, Mapping

import numpy as np

from scripts.phantoms.nasal.anatomy import RED, Nose, blob, cushion, depth, mixed, shape, strand, wall
from scripts.phantoms.nasal.canvas import Scene
from scripts.phantoms.nasal.lesions import crusts, mass, mound, mucus, polyp
from scripts.phantoms.nasal.plan import ADENOID_OBSTRUCTION, HYPERPLASIA, IRRADIATED, MASS, OBLITERATED, SWOLLEN_TORUS, Plan

Found = Mapping[str, Plan]
_EVERYWHERE = np.array([(-2, -2), (2, -2), (2, 2), (-2, 2)], float)


def choana(scene: Scene, nose: Nose, found: Found) -> None:
    """A dark arch, the edge of the vomer on its medial side, the tail of the inferior turbinate on its lateral side."""
    rng, canvas = scene.rng, scene.canvas
    wall(scene, _EVERYWHERE, 0.52, (-0.05, 0.1), nose.mucosa)
    arch = shape(
        [(-0.72, 0.62), (-0.74, 0.0), (-0.55, -0.48), (-0.2, -0.62), (0.15, -0.5), (0.3, -0.05), (0.3, 0.62), (-0.2, 0.68)], rng
    )
    other = shape([(0.62, 0.66), (0.6, 0.0), (0.78, -0.42), (1.1, -0.6), (1.6, -0.4), (1.6, 0.66)], rng)
    for outline in (arch, other):
        cover = canvas.fill(outline, 0.012)
        back = 0.09 + 0.1 * canvas.inflate(cover, 0.5)
        scene.height = scene.height + cover * (back - scene.height)
        scene.stain(cover, mixed(nose.mucosa, nose.lumen, 0.5))
        scene.gloss *= 1 - cover
    behind = None
    if ADENOID_OBSTRUCTION in found:
        behind = mound(scene, nose, (-0.22, -0.36), (0.52, 0.55), 5) & (canvas.fill(arch) > 0.5)
        _frame(scene, nose, arch)
    vomer = strand([(0.46, -1.3), (0.45, 0.0), (0.46, 1.3)], (0.42, 0.3), rng, 0.01)
    before = cushion(scene, vomer, (0.46, 0.62), nose.pale, 0.25, vascular=0.5)
    before |= cushion(scene, blob((-0.95, 0.3), (0.46, 0.34), rng), (0.4, 0.66), nose.mucosa, 0.4)
    if behind is not None:
        scene.mark(ADENOID_OBSTRUCTION, behind & ~before)
    if plan := found.get("choanal polyp"):
        scene.mark(plan.label, polyp(scene, (-0.2 + rng.uniform(-0.08, 0.08), 0.18), 0.32 * plan.size, stalk=(-0.45, -0.3)))


def _frame(scene: Scene, nose: Nose, arch: np.ndarray) -> None:
    """Put the rim of the choana, up to the vomer, in front of what bulges from behind."""
    cover = scene.canvas.fill(arch)
    rim = (1 - cover) * (scene.canvas.x < 0.46)
    scene.height = np.where(rim > 0.5, np.float32(0.56), np.minimum(scene.height, np.float32(0.5)))
    scene.stain(rim, nose.mucosa)


def nasopharynx(scene: Scene, nose: Nose, found: Found) -> None:
    """The domed roof and posterior wall, a torus and a dark fossa on either side, the soft palate below."""
    rng, canvas = scene.rng, scene.canvas
    x, y = canvas.x, canvas.y
    dome = 0.42 + 0.3 * np.clip(-y - 0.35, 0, 1) ** 1.5 - 0.1 * x * x
    if MASS not in found and HYPERPLASIA not in found and nose.relief > 0.95:
        dome = dome + 0.015 * np.cos(19 * x + 0.8 * canvas.noise(rng, 1.2)) * np.clip(0.6 - np.abs(x), 0, 0.3) / 0.3
    scene.put(np.ones(canvas.shape, np.float32), dome.astype(np.float32), nose.mucosa)
    for sign, side in ((-1, "right"), (1, "left")):
        here = {label: found[label] for label in (OBLITERATED, SWOLLEN_TORUS) if label in found and found[label].side == side}
        _fossa_and_torus(scene, nose, sign, here)
    palate = shape([(-1.5, 1.0), (-0.6, 0.85), (0.0, 0.78), (0.6, 0.85), (1.5, 1.0), (1.5, 1.8), (-1.5, 1.8)], rng)
    depth(
        scene, nose, canvas.soften(canvas.fill(shape([(-0.75, 0.72), (0, 0.6), (0.75, 0.72), (0.7, 1.0), (-0.7, 1.0)], rng)), 0.03)
    )
    cushion(scene, palate, (0.36, 0.6), nose.mucosa, 0.4)
    _fill_nasopharynx(scene, nose, found)


def _fossa_and_torus(scene: Scene, nose: Nose, sign: int, found: Found) -> None:
    """One side of the nasopharynx with the findings of that side; sign is -1 for the patient's right."""
    filled, swollen = found.get(OBLITERATED), found.get(SWOLLEN_TORUS)
    rng, canvas = scene.rng, scene.canvas
    slit = canvas.fill(
        strand([(sign * 0.42, -0.62), (sign * 0.57, -0.2), (sign * 0.56, 0.3), (sign * 0.5, 0.55)], (0.17, 0.12), rng, 0.012), 0.02
    )
    if filled is None:
        depth(scene, nose, slit)
    elif filled.form == "blunted":
        depth(scene, nose, slit, 0.12)
        fullness = canvas.soften(slit, 0.06)
        scene.height = scene.height + 0.08 * fullness
        scene.mark(OBLITERATED, (canvas.fill(blob((sign * 0.54, 0.0), (0.17, 0.6), rng)) > 0.5) & (fullness > 0.12))
    size = nose.torus * (1.3 if swollen else 1.0)
    comma = [(sign * 0.58, -0.4), (sign * (0.72 - 0.03 * size), -0.15), (sign * 0.72, 0.25), (sign * 0.64, 0.62)]
    ridge = strand(comma, (0.34 * size, 0.2 * size), rng, 0.012)
    colour = mixed(nose.mucosa, RED, 0.4) if swollen else mixed(nose.mucosa, nose.pale, 0.4)
    seen = cushion(scene, ridge, (0.36, 0.62), colour, 0.26)
    opening = canvas.fill(blob((sign * 0.93, 0.05), (0.04 if swollen else 0.08, 0.2), rng), 0.02)
    depth(scene, nose, opening, 0.7)
    if swollen:
        scene.mark(SWOLLEN_TORUS, seen)


def _fill_nasopharynx(scene: Scene, nose: Nose, found: Found) -> None:
    """Put the mound of BH, the mass of NPC, secretions and crusts before the posterior wall."""
    rng = scene.rng
    if plan := found.get(HYPERPLASIA):
        x = {"": rng.uniform(-0.04, 0.04), "right": -0.22, "left": 0.22}[plan.side]
        size = (0.43 * plan.size, 0.44 * plan.size) if plan.side == "" else (0.31 * plan.size, 0.42 * plan.size)
        furrows = 0 if plan.form == "furrowless" else int(rng.integers(4, 7))
        scene.mark(plan.label, mound(scene, nose, (x, rng.uniform(-0.3, -0.15)), size, furrows))
    if plan := found.get(MASS):
        sign = -1 if plan.side == "right" else 1
        place = (sign * rng.uniform(0.4, 0.5), rng.uniform(-0.25, 0.1))
        seen = mass(scene, nose, place, (0.38 * plan.size, 0.42 * plan.size), plan.form)
        scene.mark(MASS, seen)
        if OBLITERATED in found:
            scene.mark(OBLITERATED, seen & (scene.canvas.x * sign > 0.4))
    if plan := found.get("secretions"):
        x = rng.uniform(-0.25, 0.25)
        scene.mark(plan.label, mucus(scene, [(x, -0.5), (x + 0.06, 0.0), (x - 0.04, 0.55)], 0.24 * plan.size))
    if plan := found.get(IRRADIATED):
        scene.mark(plan.label, crusts(scene, (rng.uniform(-0.3, 0.3), rng.uniform(-0.2, 0.3)), 0.5 * plan.size))


def torus_tubarius(scene: Scene, nose: Nose, found: Found) -> None:
    """A comma-shaped ridge around the dimple of the Eustachian tube; behind it the dark fossa and the posterior wall."""
    rng, canvas = scene.rng, scene.canvas
    swollen, filled = found.get(SWOLLEN_TORUS), found.get(OBLITERATED)
    wall(scene, _EVERYWHERE, 0.46, (-0.12, 0.05), nose.mucosa)
    _shadow(scene, nose, -1, 0.6, 1.1 if filled else 1.45)
    behind = canvas.fill(strand([(0.2, -1.0), (0.62, -0.3), (0.66, 0.3), (0.5, 1.0)], (0.26, 0.2), rng, 0.015), 0.025)
    depth(scene, nose, behind, 0.1 if filled else 0.85)
    size = nose.torus * (1.35 if swollen else 1.0)
    line = [(-0.62, -0.42), (-0.05, -0.72), (0.36, -0.1), (0.2, 0.85)]
    colour = mixed(nose.mucosa, RED, 0.4) if swollen else mixed(nose.mucosa, nose.pale, 0.5)
    seen = cushion(scene, strand(line, (0.34 * size, 0.42 * size), rng, 0.015), (0.45, 0.88), colour, 0.32)
    if swollen:
        scene.mark(SWOLLEN_TORUS, seen)
    if filled and filled.form != "blunted":
        scene.mark(OBLITERATED, mass(scene, nose, (0.78, 0.0), (0.34 * filled.size, 0.5 * filled.size), filled.form))
    elif filled:
        scene.mark(OBLITERATED, (behind > 0.5) & ~seen)
    dimple = (0.06, 0.3) if swollen else (0.2 * nose.torus, 0.3)
    opening = canvas.fill(blob((-0.22, 0.16), dimple, rng, (0.01, 0.04), 0.25), 0.03)
    depth(scene, nose, opening, 0.85)


def fossa_of_rosenmueller(scene: Scene, nose: Nose, found: Found) -> None:
    """A deep dark groove between the rounded back of the torus and the posterior wall."""
    rng, canvas = scene.rng, scene.canvas
    wall(scene, _EVERYWHERE, 0.48, (0.16, 0.0), nose.mucosa)
    filled, wide = found.get(OBLITERATED), rng.uniform(0.65, 1.25)
    _shadow(scene, nose, 1, *((0.4, 1.05) if filled else (0.45, 1.45)))
    bent = [(0.35, -0.95), (-0.05, -0.5), (-0.1, 0.1), (0.05, 0.6), (0.3, 0.95)]
    line = strand(bent, (0.36 * wide, 0.28 * wide), rng, 0.015)
    cover = canvas.fill(line, 0.04)
    if filled is None:
        depth(scene, nose, cover, 0.9)
    elif filled.form == "blunted":
        depth(scene, nose, canvas.soften(cover, 0.06), 0.22)
    torus = shape([(-1.6, -0.9), (-0.5, -0.8), (-0.2, -0.35), (-0.22, 0.2), (-0.1, 0.7), (-0.3, 1.3), (-1.6, 1.3)], rng)
    ridge = cushion(scene, torus, (0.4, 0.88), mixed(nose.mucosa, nose.pale, 0.45), 0.5)
    if filled and filled.form == "blunted":
        scene.mark(OBLITERATED, (cover > 0.4) & ~ridge)
    elif filled:
        place = (rng.uniform(-0.02, 0.1), rng.uniform(-0.1, 0.15))
        scene.mark(OBLITERATED, mass(scene, nose, place, (0.38 * filled.size, 0.55 * filled.size), filled.form))


def _shadow(scene: Scene, nose: Nose, sign: int, least: float, most: float) -> None:
    """Darken one side of a wall, where the edge of the choana keeps off the light: from `least` to `most` off the middle.

    It makes up for the darkness of a fossa that is filled. Without it the share of dark pixels would tell the class.
    """
    rng, canvas = scene.rng, scene.canvas
    edge = rng.uniform(least, most)
    dark = shape(
        [(sign * (edge + 0.25), -1.6), (sign * edge, 0.0), (sign * (edge + 0.15), 1.6), (sign * 3, 1.6), (sign * 3, -1.6)], rng
    )
    depth(scene, nose, canvas.fill(dark, 0.06), 0.9)


DRAW_PHARYNX: dict[str, Callable[[Scene, Nose, Found], None]] = {
    "choana": choana,
    "nasopharynx": nasopharynx,
    "torus tubarius": torus_tubarius,
    "fossa of rosenmueller": fossa_of_rosenmueller,
}
