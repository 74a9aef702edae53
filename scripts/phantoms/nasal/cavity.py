"""The six regions of the nasal cavity, each with the findings that change its shape.

Every function draws one region into an empty scene, as seen on the right side, and marks the findings that it is given by label.
"""

from collections.abc import Callable, Mapping

import numpy as np

from scripts.phantoms.nasal.anatomy import BLUISH, GREY, RED, Nose, blob, cushion, depth, mixed, shape, strand, swelling, wall
from scripts.phantoms.nasal.canvas import Scene
from scripts.phantoms.nasal.lesions import bleeding, crusts, mucus, polyp, pus
from scripts.phantoms.nasal.plan import Plan

Found = Mapping[str, Plan]


def septum(scene: Scene, nose: Nose, found: Found) -> None:
    """A flat pale wall over most of the view; lateral of it the passage with the edges of both turbinates."""
    rng, canvas = scene.rng, scene.canvas
    cushion(scene, blob((-1.05, 0.5), (0.5, 0.45), rng), (0.2, 0.55), nose.mucosa, 0.4)
    cushion(scene, blob((-0.85, -0.55), (0.3, 0.5), rng), (0.1, 0.3), nose.mucosa, 0.3)
    edge = -0.32 + rng.uniform(-0.05, 0.05)
    outline = shape(
        [(edge + 0.15, -1.5), (edge, -0.7), (edge - 0.03, 0.0), (edge, 0.7), (edge + 0.1, 1.5), (1.8, 1.5), (1.8, -1.5)], rng
    )
    wall(scene, outline, 0.42, (0.3, 0.0), nose.pale, vascular=1.3)
    if plan := found.get("septal deviation"):
        reach, level = 0.45 * plan.size, rng.uniform(-0.2, 0.25)
        bow = shape(
            [
                (edge + 0.3, level - 0.8),
                (edge - 0.5 * reach, level - 0.4),
                (edge - reach, level),
                (edge - 0.5 * reach, level + 0.4),
                (edge + 0.3, level + 0.8),
                (edge + 0.55, level),
            ],
            rng,
        )
        wall(scene, bow, 0.42, (0.1, 0.0), nose.pale, vascular=1.3)
        scene.mark(plan.label, swelling(scene, canvas.fill(bow), 0.42, 0.24, nose.pale, 1.3))
    if plan := found.get("septal spur"):
        level = rng.uniform(0.2, 0.4)
        crest = strand([(0.7, level - 0.04), (0.1, level), (-0.4, level + 0.02), (-1.05, level + 0.06)], (0.36, 0.16), rng, 0.015)
        wall(scene, crest, 0.45, (0.05, 0.0), nose.pale)
        fading = canvas.fill(crest) * np.clip((0.7 - canvas.x) / 0.5, 0, 1)
        scene.mark(plan.label, swelling(scene, fading, 0.4, 0.07, nose.pale))
    if plan := found.get("septal perforation"):
        hole = blob((rng.uniform(0.2, 0.4), rng.uniform(-0.2, 0.2)), (0.3 * plan.size, 0.24 * plan.size), rng, (0.02, 0.07))
        cover = canvas.fill(hole)
        rim = np.clip(canvas.soften(cover, 0.05) * 2, 0, 1)
        scene.stain(0.7 * rim * (1 - cover), RED)
        depth(scene, nose, cover, 0.9)
        scene.mark("septal perforation", cover > 0.5)
    if plan := found.get("bleeding point"):
        scene.mark("bleeding point", bleeding(scene, (rng.uniform(0.1, 0.4), rng.uniform(-0.35, 0.0)), 0.28 * plan.size))


def inferior_turbinate(scene: Scene, nose: Nose, found: Found) -> None:
    """A large rounded bulge, low and lateral, before the flat septum; the tip of the middle turbinate above."""
    rng, canvas = scene.rng, scene.canvas
    wall(
        scene,
        shape([(0.72, -1.6), (0.66, -0.5), (0.66, 0.4), (0.78, 1.6), (1.9, 1.6), (1.9, -1.6)], rng),
        0.05,
        (0.6, 0.0),
        nose.pale,
    )
    cushion(
        scene, shape([(-0.25, -1.5), (0.25, -1.5), (0.2, -0.75), (0.05, -0.5), (-0.15, -0.7)], rng), (0.1, 0.32), nose.mucosa, 0.25
    )
    wall(scene, shape([(-1.6, -1.6), (-0.75, -1.6), (-0.7, -0.6), (-1.0, 0.2), (-1.7, 0.5)], rng), 0.15, (-0.2, 0.0), nose.pale)
    wall(scene, shape([(-1.5, 0.95), (0.0, 0.9), (1.5, 0.95), (1.5, 1.8), (-1.5, 1.8)], rng), 0.05, (0.0, 0.45), nose.pale)
    size, colour, gloss, vascular, relief, label = 0.9 * nose.turbinate, nose.mucosa, 1.0, 1.0, 0.0, ""
    if plan := found.get("turbinate hypertrophy"):
        label, size = plan.label, 1.22 * plan.size**0.3
    elif plan := found.get("allergic rhinitis"):
        label, size, colour, gloss, vascular = plan.label, 1.12 * plan.size**0.3, mixed(nose.mucosa, BLUISH, 0.85), 2.2, 0.4
    elif plan := found.get("rhinitis"):
        label, size, colour, vascular = plan.label, 1.12 * plan.size**0.3, mixed(nose.mucosa, RED, 0.8), 1.8
    elif plan := found.get("mulberry turbinate"):
        label, size = plan.label, 1.08
        cells = canvas.noise(rng, 0.2)
        relief = 0.13 * (np.abs(cells) ** 0.7 - 0.6)
        colour = mixed(nose.mucosa, BLUISH, 0.3)
    outline = shape(
        [
            (-0.42 - 0.85 * size, 0.25),
            (-0.42 - 0.55 * size, 0.3 - 0.62 * size),
            (-0.35, 0.3 - 0.78 * size),
            (-0.42 + 0.62 * size, 0.3 - 0.55 * size),
            (-0.42 + 0.98 * size, 0.35),
            (-0.42 + 0.7 * size, 0.3 + 0.6 * size),
            (-0.4, 0.32 + 0.68 * size),
            (-0.42 - 0.7 * size, 0.3 + 0.55 * size),
        ],
        rng,
    )
    seen = cushion(scene, outline, (0.28, 0.82), colour, 0.7, gloss, vascular, relief)
    if label == "mulberry turbinate":
        scene.stain(0.35 * np.clip(1 - np.abs(cells) * 2.5, 0, 1) * seen, RED)
    if label == "allergic rhinitis":
        mucus(scene, [(-0.2, 0.7), (0.3, 0.72), (0.62, 0.85)], 0.1)
    if label:
        scene.mark(label, seen)


def middle_turbinate(scene: Scene, nose: Nose, found: Found) -> None:
    """A teardrop that hangs between two dark slits, lateral wall and septum beside it."""
    rng = scene.rng
    wall(
        scene,
        shape([(-1.9, -1.6), (-0.42, -1.6), (-0.5, -0.6), (-0.62, 0.3), (-0.75, 1.6), (-1.9, 1.6)], rng),
        0.22,
        (-0.5, 0.0),
        nose.pale,
    )
    wall(
        scene,
        shape([(0.42, -1.6), (0.5, -0.5), (0.56, 0.4), (0.7, 1.6), (1.9, 1.6), (1.9, -1.6)], rng),
        0.22,
        (0.5, 0.0),
        nose.pale,
    )
    cushion(scene, blob((-0.75, 1.15), (0.6, 0.4), rng), (0.3, 0.6), nose.mucosa, 0.3)
    lower = rng.uniform(0.5, 0.65)
    broad = 0.3 * nose.turbinate
    drop = [
        (-0.13, -1.5),
        (0.13, -1.5),
        (0.15, -0.7),
        (0.6 * broad + 0.06, -0.25),
        (broad, 0.2),
        (0.65 * broad, lower),
        (0.0, lower + 0.1),
        (-0.7 * broad, lower),
        (-broad, 0.2),
        (-0.6 * broad - 0.06, -0.25),
        (-0.15, -0.7),
    ]
    if plan := found.get("concha bullosa"):
        wide = 0.5 * plan.size**0.4
        drop = [
            (-0.15, -1.5),
            (0.15, -1.5),
            (0.2, -0.8),
            (wide, -0.35),
            (wide * 1.05, 0.25),
            (0.6 * wide, lower + 0.1),
            (0.0, lower + 0.18),
            (-0.6 * wide, lower + 0.1),
            (-wide * 1.05, 0.25),
            (-wide, -0.35),
            (-0.2, -0.8),
        ]
        scene.mark(plan.label, cushion(scene, shape(drop, rng), (0.35, 0.9), nose.mucosa, 0.7, vascular=1.5))
    elif plan := found.get("paradoxical middle turbinate"):
        bend = 0.36 * plan.size**0.5
        bent = strand([(0.3, -1.6), (0.16 - bend, -0.5), (0.12 - bend, 0.1), (0.42, 0.75)], (0.28, 0.52), rng, 0.015)
        scene.mark(plan.label, cushion(scene, bent, (0.35, 0.8), nose.mucosa, 0.4, vascular=1.4))
    elif plan := found.get("polypoid middle turbinate"):
        cushion(scene, shape(drop, rng), (0.3, 0.66), nose.mucosa, 0.4, vascular=1.2)
        pale = mixed(nose.mucosa, GREY, 0.75)
        for step in (-0.22, 0.12, 0.0):
            lump = blob((step, lower - 0.25 + abs(step)), (0.34 * plan.size, 0.36 * plan.size), rng, (0.02, 0.08))
            scene.mark(plan.label, cushion(scene, lump, (0.45, 0.85), pale, 0.3, gloss=1.8, vascular=0.4))
    else:
        cushion(scene, shape(drop, rng), (0.32, 0.76), nose.mucosa, 0.42, vascular=1.6)


def middle_meatus(scene: Scene, nose: Nose, found: Found) -> None:
    """A curved dark slit under the middle turbinate; lateral of it the uncinate ridge, within it the bulla."""
    rng = scene.rng
    swollen = found.get("mucosal oedema")
    cushion(scene, blob((0.1, -0.12), (0.22, 0.26), rng), (0.1, 0.34), nose.mucosa, 0.25)
    wall(
        scene,
        shape([(-1.9, -1.6), (-0.5, -1.6), (-0.3, -0.7), (-0.2, 0.1), (-0.15, 0.7), (-0.1, 1.6), (-1.9, 1.6)], rng),
        0.3,
        (-0.35, 0.0),
        nose.pale,
    )
    thick = 0.32 if swollen else 0.14
    ridge = strand([(-0.5, -1.0), (-0.26, -0.45), (-0.2, 0.15), (-0.42, 0.75)], (thick, thick * 1.3), rng, 0.015)
    colour = mixed(nose.mucosa, BLUISH, 0.7) if swollen else nose.mucosa
    seen = cushion(scene, ridge, (0.42, 0.68), colour, thick, 1.6 if swollen else 1.0, 0.4 if swollen else 1.0)
    edge = 0.02 if swollen else 0.12 * nose.slit
    turbinate = shape(
        [
            (0.12, -1.6),
            (edge + 0.1, -0.9),
            (edge + 0.02, -0.3),
            (edge + 0.02, 0.25),
            (edge + 0.18, 0.75),
            (0.6, 1.0),
            (1.1, 0.95),
            (1.9, 0.6),
            (1.9, -1.6),
        ],
        rng,
    )
    over = cushion(scene, turbinate, (0.3, 0.85), nose.mucosa, 0.6, vascular=1.5)
    if swollen:
        scene.mark("mucosal oedema", seen & ~over)
    if plan := found.get("nasal polyp"):
        scene.mark(
            "nasal polyp", polyp(scene, (rng.uniform(-0.12, 0.02), rng.uniform(0.2, 0.4)), 0.3 * plan.size, stalk=(0.05, -0.5))
        )
    if plan := found.get("sinusitis"):
        stream = [(0.03, -0.45), (-0.02, 0.05), (-0.08, 0.5), (-0.2, 1.1)]
        scene.mark("sinusitis", pus(scene, stream, (0.14 * plan.size, 0.34 * plan.size)))


def olfactory_cleft(scene: Scene, nose: Nose, found: Found) -> None:
    """A high thin slit between septum and turbinates: the superior one, small, above the middle one."""
    rng = scene.rng
    swollen = found.get("mucosal oedema")
    gap = (0.0 if swollen else 0.05) * nose.slit
    left = shape(
        [(-1.9, -0.35), (-0.6, -0.42), (-0.2, -0.25), (-gap, 0.1), (-gap - 0.06, 0.75), (-0.25, 1.6), (-1.9, 1.6)], rng, 0.012
    )
    right = shape([(1.9, -1.6), (0.04, -1.5), (gap, -0.6), (gap, 0.1), (gap + 0.06, 0.75), (0.25, 1.6), (1.9, 1.6)], rng, 0.012)
    # The groove above the middle turbinate shows between it and the superior one.
    behind = shape([(-1.9, -1.6), (-0.05, -1.6), (-gap, -0.8), (-gap, 0.2), (-1.9, 0.2)], rng, 0.012)
    wall(scene, behind, 0.14, (-0.1, 0.0), nose.mucosa)
    cushion(scene, left, (0.34, 0.8), nose.mucosa, 0.55, vascular=1.3)
    wall(scene, right, 0.36, (0.45, 0.05), nose.pale)
    superior = [(-1.0, -1.35), (-0.2, -1.4), (-gap - 0.02, -0.85), (-gap - 0.05, -0.55), (-0.25, -0.45), (-0.7, -0.62)]
    cushion(scene, shape(superior, rng, 0.015), (0.3, 0.62), nose.mucosa, 0.3, vascular=1.1)
    if swollen:
        pale = mixed(nose.mucosa, BLUISH, 0.75)
        for x, y in ((-0.1, -0.5), (0.07, -0.1), (-0.06, 0.3)):
            lump = blob((x, y), (0.2 * swollen.size, 0.3 * swollen.size), rng)
            scene.mark("mucosal oedema", cushion(scene, lump, (0.4, 0.72), pale, 0.25, 1.7, 0.4))
    if plan := found.get("nasal polyp"):
        for step in (-0.3, 0.08):
            place = (rng.uniform(-0.06, 0.06), step + rng.uniform(-0.05, 0.05))
            scene.mark("nasal polyp", polyp(scene, place, 0.23 * plan.size, stalk=(0.0, step - 0.3)))


def inferior_meatus(scene: Scene, nose: Nose, found: Found) -> None:
    """A horizontal trough between the floor and the overhanging inferior turbinate."""
    rng = scene.rng
    wall(scene, shape([(0.95, -1.6), (0.8, 0.0), (0.75, 0.6), (1.9, 0.9), (1.9, -1.6)], rng), 0.0, (0.5, 0.0), nose.pale)
    floor = shape([(-1.7, 0.32), (-0.6, 0.36), (0.2, 0.4), (0.9, 0.3), (1.8, 0.1), (1.8, 1.8), (-1.7, 1.8)], rng)
    wall(scene, floor, 0.12, (0.0, 0.62), nose.pale)
    low = 0.1 + rng.uniform(-0.05, 0.05)
    over = shape(
        [(-1.8, -1.6), (-1.8, low - 0.15), (-0.9, low + 0.05), (-0.1, low), (0.55, low - 0.25), (0.78, -0.7), (0.7, -1.6)], rng
    )
    cushion(scene, over, (0.22, 0.85), nose.mucosa, 0.7, vascular=1.2)
    if plan := found.get("secretions"):
        scene.mark("secretions", mucus(scene, [(-0.8, 0.42), (-0.2, 0.52), (0.35, 0.5), (0.7, 0.42)], 0.26 * plan.size))
    if plan := found.get("crusts"):
        scene.mark("crusts", crusts(scene, (rng.uniform(-0.3, 0.2), 0.6), 0.42 * plan.size))


DRAW_CAVITY: dict[str, Callable[[Scene, Nose, Found], None]] = {
    "septum": septum,
    "inferior turbinate": inferior_turbinate,
    "middle turbinate": middle_turbinate,
    "middle meatus": middle_meatus,
    "olfactory cleft": olfactory_cleft,
    "inferior meatus": inferior_meatus,
}
