"""The body that a phantom volume shows, drawn from the outside in: wall, skeleton, chest, abdomen."""

from dataclasses import dataclass

import numpy as np

from scripts.phantoms.ct.body import FIRST_VERTEBRA_ID, LOBES, SIGN, VERTEBRA_CENTRES, VERTEBRAE, Body
from scripts.phantoms.ct.canvas import EVERYWHERE, Canvas, curve, profile, rotation, smooth_noise

FAT, MUSCLE, WALL, GAS = -100.0, 50.0, 45.0, -960.0


@dataclass(frozen=True)
class Contrast:
    """Hounsfield units of what takes up contrast agent, by phase."""

    blood: float
    muscle: float
    liver: float
    spleen: float
    pancreas: float
    adrenal: float
    cortex: float
    medulla: float
    thyroid: float
    wall: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Contrast":
        """Draw a scan without contrast agent, or one in the arterial or venous phase; organs vary apart from each other."""
        phase = rng.choice(["native", "arterial", "venous"], p=[0.4, 0.15, 0.45])
        low, high = {
            "native": ((38, 42, 55, 44, 36, 28, 32, 32, 95, 38), (54, 54, 68, 56, 48, 40, 42, 42, 125, 48)),
            "arterial": ((150, 70, 62, 85, 75, 50, 130, 50, 130, 55), (185, 95, 80, 125, 105, 70, 170, 90, 165, 75)),
            "venous": ((105, 75, 85, 90, 75, 55, 125, 110, 115, 60), (150, 100, 112, 122, 102, 75, 165, 150, 150, 80)),
        }[str(phase)]
        return cls(*(float(v) for v in rng.uniform(low, high)))


def draw_body(canvas: Canvas, body: Body, contrast: Contrast, rng: np.random.Generator) -> None:
    """Draw a body without findings (but those that are its shape) on an empty canvas, with its mask."""
    p = canvas.at()
    cage, dome = body.cage(p), body.diaphragm(p)
    _wall(canvas, body, cage)
    _skeleton(canvas, body, cage)
    inner = np.minimum(cage, dome - p[2])
    canvas.paint((EVERYWHERE, cage), FAT + 12 * smooth_noise(rng, canvas.shape, 6))
    for sign in SIGN.values():
        psoas = curve([(26 * sign, -62, -48), (36 * sign, -58, -110), (44 * sign, -48, -200)])
        canvas.paint(canvas.tube(psoas, np.linspace(7, 22, len(psoas))), MUSCLE)
    _spine(canvas, body)
    _lungs(canvas, body, cage, p[2] - dome, rng)
    _vessels(canvas, contrast, rng)
    _heart(canvas, body, contrast)
    _great_vessels(canvas, body, contrast)
    _airways(canvas, body)
    _neck(canvas, body, contrast)
    _solid_organs(canvas, body, contrast, inner, rng)
    _hollow_organs(canvas, body, contrast, inner, rng)
    _esophagus(canvas, body, contrast, rng)
    # Last, so that no neighbour takes its place.
    centre, radii = body.gallbladder()
    canvas.paint(canvas.ellipsoid(centre, radii + 2), WALL)
    canvas.paint(canvas.ellipsoid(centre, radii), rng.uniform(4, 18), 4)


def _wall(canvas: Canvas, body: Body, cage: np.ndarray) -> None:
    """Skin and fat, and within them the muscle of the trunk and neck."""
    x, y, z = canvas.at()
    at = (-190, 0, 110, 150, 178, 196, 212, 226, 250)
    wide = profile(z, at, (140, 145, 150, 158, 150, 112, 72, 60, 58))
    deep = profile(z, at, (104, 110, 108, 104, 92, 76, 62, 56, 56))
    away = np.sqrt((x / wide) ** 2 + ((y + profile(z, at, (14, 14, 16, 18, 20, 20, 18, 12, 10))) / deep) ** 2)
    level = (1 - away) * np.minimum(wide, deep)
    skin = level + body.fat
    canvas.paint((EVERYWHERE, skin), np.where(skin < 3, -20, FAT))
    canvas.paint((EVERYWHERE, level), MUSCLE)
    # Fat between the muscles of the shoulder girdle and chest wall.
    canvas.paint((EVERYWHERE, np.minimum(level - 8, 2.5 - np.abs(cage + 14))), FAT)


def _skeleton(canvas: Canvas, body: Body, cage: np.ndarray) -> None:
    """Ribs that fall towards the front and end in cartilage, sternum, clavicles and shoulder blades."""
    x, y, z = canvas.at()
    shell = 4.0 - np.abs(cage + 5)
    along = 5.5 - np.abs((z + 0.45 * (y + 80)) % 25 - 12.5)
    ribs = np.minimum(np.minimum(shell, along), np.minimum(z + 75, 205 - z))
    bone = np.where(y > 62, 95, np.where(np.minimum(shell, along) > 1.8, body.marrow * 0.8, body.cortex * 0.8))
    canvas.paint((EVERYWHERE, ribs), bone)
    front = profile(z, (0, 60, 110, 150, 170), (99, 95, 83, 63, 50))
    sternum = np.minimum(np.minimum(5 - np.abs(y - front), 17 - np.abs(x)), np.minimum(z - 25, 165 - z))
    canvas.paint((EVERYWHERE, sternum), np.where(sternum > 2.5, body.marrow * 0.8, body.cortex * 0.7))
    for sign in SIGN.values():
        canvas.paint(canvas.tube(curve([(22 * sign, 46, 172), (70 * sign, 30, 184), (120 * sign, -10, 186)]), 6), body.cortex * 0.8)
        turn = np.array([[0.77, 0.64 * sign, 0], [-0.64 * sign, 0.77, 0], [0, 0, 1]])
        canvas.paint(canvas.ellipsoid((112 * sign, -72, 128), (34, 5, 48), turn), body.cortex * 0.7)


def _spine(canvas: Canvas, body: Body) -> None:
    """Vertebrae with cortex, marrow, arch and canal, and the discs between them."""
    box = canvas.box((-45, -135, -300), (45, -20, 300))
    x, y, z = canvas.at(box)
    centre = body.spine_at(z)
    x, y = x - centre[0], y - centre[1]
    number = np.abs(z[None] - VERTEBRA_CENTRES[:, None, None, None]).argmin(0)
    gap = np.gradient(VERTEBRA_CENTRES)
    loss = np.array([body.height_loss.get(name, 0.0) for name in VERTEBRAE], np.float32)[number]
    half = (0.5 * gap - 2.3).astype(np.float32)[number]
    # A compressed vertebra is low in front, less so at the back, and its upper plate sinks in.
    ramp = np.clip((y + 18) / 26, 0.25, 1)
    high = half - 2 * half * loss * ramp
    above = z - VERTEBRA_CENTRES[number]
    upright = np.minimum(high - above, above + half)
    radius = profile(z, (-190, -60, 60, 150, 245), (23, 20, 17, 14.5, 11))
    around = radius - np.sqrt(x**2 + (y * 1.12) ** 2)
    column = (box, around)
    canvas.paint(column, 75)
    vertebra = np.minimum(around, upright)
    arch = np.minimum(6.5 - np.abs(np.sqrt(x**2 + (y + radius + 8) ** 2) - 12), half - 1 - np.abs(above + 2))
    process = np.minimum(np.minimum(4.5 - np.abs(x), -(y + radius + 14)), np.minimum(y + radius + 29, half - 3 - np.abs(above + 5)))
    wings = np.minimum(np.minimum(6 - np.abs(y + radius + 6), 32 - np.abs(x)), np.minimum(np.abs(x) - 8, 5 - np.abs(above)))
    behind = np.maximum(np.maximum(arch, process), wings)
    canvas.paint((box, behind), body.cortex * 0.75)
    # Impacted trabeculae make a collapsed body denser.
    canvas.paint((box, vertebra), np.where(vertebra > 2.6, body.marrow + 90 * (loss > 0), body.cortex))
    canvas.paint((box, 8.5 - np.sqrt(x**2 + (y + radius + 8) ** 2)), 25)
    bone = np.maximum(vertebra, behind) > 0
    canvas.mask[box][bone] = FIRST_VERTEBRA_ID + number[bone]


def _lungs(canvas: Canvas, body: Body, cage: np.ndarray, above: np.ndarray, rng: np.random.Generator) -> None:
    """Both lungs with their lobes; denser at the back, as in a patient who lies on it."""
    x, y, z = canvas.at()
    width = profile(y, (-95, -60, -25, 15, 45, 70), (24, 22, 25, 24, 10, 6)) * np.float32(body.mediastinum)
    width = width + profile(z, (130, 170, 200), (0, 6, 8))
    level = np.minimum(np.minimum(cage - 2.5, above), np.abs(x) - width)
    grain = 16 * smooth_noise(rng, canvas.shape, 1.6) + 10 * smooth_noise(rng, canvas.shape, 5)
    canvas.paint((EVERYWHERE, level), body.lung_hu - 0.22 * y + grain)
    inside = level > 0
    lower = z < 62 - 0.85 * (y - 5)
    right = x > 0
    canvas.mask[inside & right] = LOBES["right", "upper"]
    canvas.mask[inside & right & (z < 58)] = LOBES["right", "middle"]
    canvas.mask[inside & right & lower] = LOBES["right", "lower"]
    canvas.mask[inside & ~right] = LOBES["left", "upper"]
    canvas.mask[inside & ~right & lower] = LOBES["left", "lower"]


def _vessels(canvas: Canvas, contrast: Contrast, rng: np.random.Generator) -> None:
    """Arteries and veins that branch from the hila into the lungs."""
    hu = 0.8 * contrast.blood
    for sign in SIGN.values():
        hilum = np.array([36 * sign, -14, 84])
        for _ in range(13):
            direction = rng.normal(size=3) * (0.6, 1, 1.5) + (sign * 1.1, 0, -0.1)
            _branch(canvas, hilum, direction / np.linalg.norm(direction), rng.uniform(3.4, 4.8), hu, sign, rng)
        canvas.paint(canvas.tube([(sign * 10, -4, 88), hilum], (11, 8)), contrast.blood)


def _branch(
    canvas: Canvas, start: np.ndarray, direction: np.ndarray, radius: float, hu: float, sign: int, rng: np.random.Generator
) -> None:
    """A vessel and, while it is thick enough, the two that it parts into; it ends at the lung's surface."""
    bent = direction + rng.normal(0, 0.25, 3)
    end = start + bent / np.linalg.norm(bent) * radius * rng.uniform(8, 12)
    if end[0] * sign < 22:
        return
    box, level = canvas.tube([start, end], (radius, radius * 0.8))
    lobes = canvas.mask[box]
    canvas.paint((box, np.where((lobes >= 10) & (lobes <= 14), level, -9)), hu)
    if radius > 1.8:
        for _ in range(2):
            turned = direction + rng.normal(0, 0.55, 3)
            _branch(canvas, end, turned / np.linalg.norm(turned), radius * rng.uniform(0.66, 0.8), hu, sign, rng)


def _heart(canvas: Canvas, body: Body, contrast: Contrast) -> None:
    """Heart in its fat: muscle, four chambers, left atrial appendage, coronary arteries."""
    centre, axes, radii = body.heart_centre, body.heart_axes, body.heart_radii
    canvas.paint(canvas.ellipsoid(centre, radii + 3, axes), -85)
    canvas.paint(canvas.ellipsoid(centre, radii, axes), -85, 51)
    canvas.paint(canvas.ellipsoid(centre, radii - body.heart_fat, axes), contrast.muscle)
    # Share of the radii: centre along apex, front, up and right; size.
    for where, share in (
        ((0.22, -0.22, 0.1), (0.5, 0.42, 0.42)),
        ((0.12, 0.5, 0.05), (0.55, 0.3, 0.55)),
        ((-0.5, -0.28, -0.35), (0.34, 0.42, 0.42)),
        ((-0.52, 0.2, 0.42), (0.34, 0.42, 0.4)),
    ):
        canvas.paint(canvas.ellipsoid(centre + (np.array(where) * radii) @ axes, radii * share, axes), contrast.blood)
    canvas.paint(canvas.ellipsoid(centre + np.array([-24, 4, 40]), (11, 14, 11)), contrast.blood, 61)
    for name in ("left anterior descending", "right coronary", "circumflex"):
        canvas.paint(canvas.tube(body.coronary(name), 2.0), contrast.blood)


def _great_vessels(canvas: Canvas, body: Body, contrast: Contrast) -> None:
    """Pulmonary trunk, venae cavae and aorta."""
    blood = contrast.blood
    canvas.paint(canvas.tube(curve([(-12, 36, 72), (-16, 28, 96), (-22, 2, 102)]), 13), blood)
    canvas.paint(canvas.tube(curve([(-16, 22, 97), (6, -2, 94), (30, -8, 90)]), 10), blood)
    canvas.paint(canvas.tube(curve([(30, 4, 158), (28, 6, 110), (26, 8, 66)]), 8.5), blood)
    canvas.paint(canvas.tube(curve([(22, -10, 20), (22, -14, -20), (18, -30, -70), (16, -30, -190)]), 11), 0.9 * blood)
    for start, end in (((-2, 6, 142), (22, 14, 196)), ((-10, -6, 144), (-18, 2, 250)), ((-18, -20, 146), (-40, -12, 192))):
        canvas.paint(canvas.tube([start, end], 5), blood)
    canvas.paint(canvas.tube([(20, 14, 196), (22, 4, 250)], 4.5), blood)
    points, radii = body.aorta()
    canvas.paint(canvas.tube(points, radii + 1.5), WALL, 52)
    canvas.paint(canvas.tube(points, radii), blood)


def _airways(canvas: Canvas, body: Body) -> None:
    """Trachea with its lumen in the mask, and bronchi with faint walls."""
    for side in SIGN:
        for points, radii in body.bronchi(side):
            canvas.paint(canvas.tube(points, radii + 1.3), -250 if radii[0] < 5 else WALL)
    for side in SIGN:
        for points, radii in body.bronchi(side):
            canvas.paint(canvas.tube(points, radii), GAS)
    points, radius = body.trachea()
    canvas.paint(canvas.tube(points, radius + 2.2), WALL)
    canvas.paint(canvas.tube(points, radius), GAS, 16)


def _neck(canvas: Canvas, body: Body, contrast: Contrast) -> None:
    """Both lobes of the thyroid and the isthmus between them, beside the trachea."""
    for side, sign in SIGN.items():
        name = f"{side} thyroid"
        radii = np.array([11, 12, 23]) * body.factor[name] ** 0.7
        canvas.paint(canvas.ellipsoid(thyroid_centre(body, side), radii), contrast.thyroid, 17)
        front = [(2 * sign, 18, 222), (14 * sign, 12, 222)]
        canvas.paint(canvas.tube(front, 4), contrast.thyroid, 17)


def thyroid_centre(body: Body, side: str) -> np.ndarray:
    return np.array([20 * SIGN[side], 4, 228]) + 0.4 * body.shift[f"{side} thyroid"]


def _solid_organs(canvas: Canvas, body: Body, contrast: Contrast, inner: np.ndarray, rng: np.random.Generator) -> None:
    """Liver, spleen, pancreas, adrenal glands and kidneys."""

    def ellipsoid(name: str, centre: tuple, radii: tuple, hu: float, label: int, limit: np.ndarray) -> None:
        turn = rotation(rng, 14)
        box, level = canvas.ellipsoid(body.place(name, centre), np.array(radii) * body.factor[name] ** 0.7, turn)
        canvas.paint((box, np.minimum(level, limit[box] - 2)), hu, label)

    x, y, _ = canvas.at()
    # Behind the liver, beside the spine, lie the right adrenal gland and kidney in their fat.
    front = np.minimum(inner, 0.6 * (x - 44) + 0.8 * (y + 32))
    ellipsoid("left liver", (8, 36, -42), (66, 38, 32), contrast.liver, 5, front)
    ellipsoid("liver", (70, 4, -52), (70, 80, 64), contrast.liver, 5, front)
    for end in rng.uniform((30, -30, -80), (95, 40, -30), (9, 3)):
        box, level = canvas.tube([(42, 4, -64), end], (4, 2))
        canvas.paint((box, np.where(canvas.mask[box] == 5, level, -9)), contrast.liver + 0.35 * (contrast.blood - contrast.liver))
    ellipsoid("spleen", (-90, -34, -58), (32, 46, 52), contrast.spleen, 1, inner)
    for side, sign in SIGN.items():
        centre, radii = body.kidney(side)
        canvas.paint(canvas.ellipsoid(centre, radii + 4), FAT, 0)
        canvas.paint(canvas.ellipsoid(centre, radii), contrast.cortex, 2 if side == "right" else 3)
        canvas.paint(canvas.ellipsoid(centre, radii * 0.68), contrast.medulla)
        canvas.paint(canvas.ellipsoid(centre - (sign * 0.35 * radii[0], -2, 0), radii * (0.5, 0.36, 0.5)), -60)
        for limb in body.adrenal(side):
            radius = 4.2 * float(body.factor[f"{side} adrenal"][0])
            canvas.paint(canvas.tube(limb, (radius, radius, 0.75 * radius)), contrast.adrenal, 8 if side == "right" else 9)
    points, radii = body.pancreas()
    box, level = canvas.tube(points, radii)
    lobules = 5 * smooth_noise(rng, level.shape, 2) if level.size else 0
    canvas.paint((box, level), contrast.pancreas + lobules, 7)


def _hollow_organs(canvas: Canvas, body: Body, contrast: Contrast, inner: np.ndarray, rng: np.random.Generator) -> None:
    """Stomach, duodenum, loops of small bowel and colon: walls, fluid below, gas above."""
    centre, radii = body.stomach()
    antrum_box, antrum = canvas.tube(curve(body.place("antrum", [(-40, 46, -78), (-10, 54, -94), (16, 40, -94)])), 16)
    canvas.paint((antrum_box, antrum), contrast.wall, 6)
    canvas.paint((antrum_box, antrum - 4.5), rng.uniform(5, 40))
    box, level = canvas.ellipsoid(centre, radii)
    level = np.minimum(level, inner[box] - 2)
    canvas.paint((box, level), contrast.wall, 6)
    meal = rng.uniform(5, 45) + 14 * smooth_noise(rng, level.shape, 4) if level.size else 0
    canvas.paint((box, level - 4.5), meal)
    air = canvas.at(box)[1] - (centre[1] + radii[1] * rng.uniform(-0.1, 0.55))
    canvas.paint((box, np.minimum(level - 4.5, air)), GAS)
    points = curve(body.place("duodenum", [(20, 38, -96), (44, 22, -104), (46, 4, -132), (20, -8, -148), (-14, -6, -146)]))
    canvas.paint(canvas.tube(points, 12), contrast.wall, 19)
    canvas.paint(canvas.tube(points, 8), rng.uniform(5, 40))
    for _ in range(5):
        loop = body.place("small bowel", rng.uniform((-62, 6, -170), (30, 52, -134), (4, 3)))
        canvas.paint(canvas.tube(curve(loop), 11), contrast.wall, 18)
        canvas.paint(canvas.tube(curve(loop), 7.5), rng.uniform(5, 50))
    points, radius = body.colon()
    box, level = canvas.tube(points, radius)
    canvas.paint((box, level), contrast.wall, 20)
    if level.size:
        stool = np.where(smooth_noise(rng, level.shape, 3) > rng.uniform(-0.6, 1), 30, -700)
        canvas.paint((box, level - 3.5), stool)
        gas = smooth_noise(rng, level.shape, 8) > rng.uniform(-0.5, 0.8)
        canvas.paint((box, np.where(gas, level - 3.5, -9)), GAS)


def _esophagus(canvas: Canvas, body: Body, contrast: Contrast, rng: np.random.Generator) -> None:
    """Esophagus with a little gas in its lumen."""
    points, radii = body.esophagus()
    canvas.paint(canvas.tube(points, radii), contrast.wall, 15)
    lumen = canvas.tube(points, 2.6)
    gas = smooth_noise(rng, lumen[1].shape, (2, 2, 4)) > rng.uniform(-0.8, 0.6) if lumen[1].size else True
    canvas.paint((lumen[0], np.where(gas, lumen[1], -9)), -500)
