"""One patient's proportions, and where the organs of the chest and upper abdomen lie.

Everything is in the body coordinates of `scripts.phantoms.ct.canvas`: millimetres of an average adult, x to the right, y to
the front, z to the head. Shapes that findings change (a large heart, a wide aorta, a collapsed vertebra) are parameters
here, so that they are drawn with the body.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from scripts.phantoms.ct.canvas import curve, profile
from scripts.phantoms.ct.plan import Plan

SIGN = {"right": 1, "left": -1}
IDS: dict[str, tuple[int, ...]] = {
    "lung": (10, 11, 12, 13, 14),
    "trachea": (16,),
    "heart": (51, 61),
    "aorta": (52,),
    "esophagus": (15,),
    "thyroid": (17,),
    "liver": (5,),
    "gallbladder": (4,),
    "spleen": (1,),
    "pancreas": (7,),
    "adrenal gland": (8, 9),
    "kidney": (2, 3),
    "stomach": (6,),
    "bowel": (18, 19, 20),
    "spine": tuple(range(28, 47)),
}
"""Classes of TotalSegmentator v2 that phantom masks hold, by anatomy of the wide table."""

LOBES = {("left", "upper"): 10, ("left", "lower"): 11, ("right", "upper"): 12, ("right", "middle"): 13, ("right", "lower"): 14}

VERTEBRAE = ("L4", "L3", "L2", "L1", *(f"T{n}" for n in range(12, 0, -1)), "C7", "C6", "C5")
VERTEBRA_CENTRES = np.array(
    [-168, -137, -106, -76, -49, -24, 0, 23, 46, 68, 90, 111, 132, 152, 172, 191, 209, 226, 243], np.float32
)
FIRST_VERTEBRA_ID = 28  # vertebrae_L4; the classes go on upwards

_CAGE_Z = (-190, -120, 0, 60, 110, 150, 180, 200, 216)
_ORGANS = (
    "liver", "left liver", "gallbladder", "spleen", "stomach", "antrum", "pancreas", "right adrenal", "left adrenal",
    "right kidney", "left kidney", "colon", "small bowel", "duodenum", "right thyroid", "left thyroid", "esophagus", "trachea",
)  # fmt: skip


@dataclass(frozen=True)
class Body:
    """One patient. Lengths in millimetres of an average adult; `size` [3] turns these into the patient's own."""

    size: np.ndarray
    fat: float
    lung_hu: float
    dome: dict[str, float]
    mediastinum: float
    heart_radii: np.ndarray
    heart_shift: np.ndarray
    heart_fat: float
    aorta_radius: float
    aorta_bend: float
    scoliosis: float
    cortex: float
    marrow: float
    shift: dict[str, np.ndarray]
    factor: dict[str, np.ndarray]
    aneurysm: tuple[str, float] | None = None
    height_loss: dict[str, float] = field(default_factory=dict)
    thick_esophagus: tuple[float, float] | None = None

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Body":
        """Draw a patient without findings."""
        overall = rng.uniform(0.9, 1.08)
        return cls(
            size=(overall * rng.uniform(0.94, 1.06, 3)).astype(np.float32),
            fat=rng.uniform(8, 30),
            lung_hu=rng.uniform(-895, -805),
            dome={"right": rng.uniform(-14, 12), "left": rng.uniform(-22, 4)},
            mediastinum=rng.uniform(0.85, 1.2),
            heart_radii=np.array([64, 49, 51]) * rng.uniform((0.86, 0.86, 0.86), (1.03, 1.08, 1.08)),
            heart_shift=rng.uniform(-5, 5, 3),
            heart_fat=rng.uniform(3, 8),
            aorta_radius=rng.uniform(11.5, 16),
            aorta_bend=rng.uniform(0, 14),
            scoliosis=rng.uniform(-7, 7),
            cortex=rng.uniform(380, 650),
            marrow=rng.uniform(110, 260),
            shift={name: rng.uniform(-5, 5, 3) for name in _ORGANS},
            factor={name: rng.uniform(0.82, 1.2, 3) for name in _ORGANS},
        )

    def place(self, name: str, points: list) -> np.ndarray:
        """Points [N, 3] or [3] of an organ, moved as this patient's are."""
        return np.asarray(points, float) + self.shift[name]

    def cage(self, p: np.ndarray) -> np.ndarray:
        """Level of the inside of the rib cage and of the abdominal wall, at coordinates [3, ...]."""
        wide = profile(p[2], _CAGE_Z, (126, 128, 130, 126, 114, 96, 70, 44, 14))
        deep = profile(p[2], _CAGE_Z, (84, 88, 90, 88, 80, 66, 50, 34, 12))
        away = np.sqrt((p[0] / wide) ** 2 + ((p[1] - profile(p[2], _CAGE_Z, (8, 6, 4, 2, -2, -8, -14, -18, -18))) / deep) ** 2)
        return (1 - away) * np.minimum(wide, deep)

    def diaphragm(self, p: np.ndarray) -> np.ndarray:
        """Height of the diaphragm's upper surface at coordinates [3, ...]: two domes, deep recesses at the back and sides."""
        side = np.where(p[0] > 0, np.float32(self.dome["right"]), np.float32(self.dome["left"]))
        lateral = np.abs(p[0]) - 66
        return side - np.where(lateral > 0, 0.009, 0.0035) * lateral**2 - np.where(p[1] < 12, 0.0062, 0.004) * (p[1] - 12) ** 2

    def spine_at(self, z: np.ndarray) -> np.ndarray:
        """Centre of the vertebral bodies [2, ...] (x, y) at heights z."""
        z = np.asarray(z, np.float32)
        y = profile(z, (-190, -120, -60, 60, 120, 180, 245), (-60, -56, -64, -80, -84, -72, -46))
        return np.stack([self.scoliosis * np.sin((z + 80) / 90), y])

    @property
    def heart_centre(self) -> np.ndarray:
        return np.array([-14, 20, 37]) + self.heart_shift

    @property
    def heart_axes(self) -> np.ndarray:
        """Directions [3, 3] of the heart's radii: to the apex, to the front, upwards and right."""
        apex = np.array([-0.86, 0.33, -0.38])
        front = np.array([0.28, 0.94, 0.0])
        front -= apex * (apex @ front)
        front /= np.linalg.norm(front)
        return np.stack([apex, front, np.cross(front, apex)]).astype(np.float32)

    def on_heart(self, angle: np.ndarray, turn: np.ndarray, depth: float) -> np.ndarray:
        """Points [N, 3] so many millimetres under the heart's surface; angle from the apex, turn about the long axis from
        the front, towards the upper right; in degrees."""
        a, t = np.deg2rad(np.broadcast_arrays(angle, turn))
        unit = np.stack([np.cos(a), np.sin(a) * np.cos(t), np.sin(a) * np.sin(t)], -1)
        return (self.heart_centre + (unit * (self.heart_radii - depth)) @ self.heart_axes).astype(np.float32)

    def coronary(self, name: str) -> np.ndarray:
        """Course [N, 3] of a coronary artery under the surface of the heart."""
        courses = {
            "left anterior descending": ((95, 70, 45, 25), (30, 18, 8, 0)),
            "right coronary": ((115, 118, 116, 110), (35, 0, -40, -80)),
            "circumflex": ((100, 100, 98, 95), (90, 130, 160, 185)),
        }
        return curve(self.on_heart(*(np.array(c) for c in courses[name]), depth=0.75 * self.heart_fat))

    def aorta(self) -> tuple[np.ndarray, np.ndarray]:
        """Course [N, 3] and radii [N] of the aorta, from its root to the abdomen."""
        b = self.aorta_bend
        points = curve(
            [(6, 14, 66), (14 + 0.4 * b, 20, 92), (10 + 0.3 * b, 14, 122), (-4, 0, 138 + 0.4 * b), (-19, -24, 138 + 0.4 * b),
             (-24, -46, 122), (-24 - 0.6 * b, -52, 90), (-21 - 0.8 * b, -50, 40), (-14, -42, 0), (-6, -35, -50), (-3, -29, -110),
             (-2, -27, -190)]
        )  # fmt: skip
        along = np.linspace(0, 1, len(points))
        radii = self.aorta_radius * np.interp(along, (0, 0.25, 0.4, 1), (1.12, 1.05, 0.95, 0.68))
        if self.aneurysm:
            part, widest = self.aneurysm
            middle = points[:, 2] - (98 if part == "ascending" else 62)
            of_part = (along < 0.22) if part == "ascending" else (along > 0.38)
            bump = np.exp(-((middle / 27) ** 2)) * of_part
            # The rest is narrow, so that the whole is no larger than others'.
            radii = radii * 0.88 + np.maximum(widest - radii * 0.88, 0) * bump
        return points, radii

    def trachea(self) -> tuple[np.ndarray, float]:
        """Course [N, 3] down to the carina, and radius of the lumen."""
        points = curve(self.place("trachea", [(0, 10, 250), (1, 2, 205), (3, -10, 160), (3, -14, 116)]))
        return points, 8.2 * float(self.factor["trachea"][0])

    def bronchi(self, side: str) -> list[tuple[np.ndarray, np.ndarray]]:
        """Courses [N, 3] and lumen radii [N] of a side's main bronchus and of those of its lobes."""
        sign, carina = SIGN[side], self.trachea()[0][-1]
        hilum = np.array([36 if side == "right" else -40, -16, 88 if side == "right" else 84])
        ends = {"upper": (62, 8, 142), "apex": (50, -34, 152), "middle": (78, 44, 52), "lower": (66, -40, 28), "base": (84, -8, 26)}
        if side == "left":  # the heart lies where a right middle lobe would
            ends["middle"] = (86, 30, 92)
        main = (curve([carina, (carina + hilum) / 2 + (0, 0, -2), hilum]), np.array([6.5]))
        out = [(main[0], np.full(len(main[0]), 6.0))]
        for x, y, z in ends.values():
            end = np.array([sign * x, y, z])
            points = curve([hilum, hilum * 0.55 + end * 0.45 + (0, 3, -4), end])
            out.append((points, np.linspace(3.6, 1.8, len(points))))
        return out

    def esophagus(self) -> tuple[np.ndarray, np.ndarray]:
        """Course [N, 3] and outer radii [N] of the esophagus, from the neck to the stomach."""
        points = curve(
            [(-3, -12, 245), (-4, -26, 190), (-4, -34, 120), (-5, -38, 60), (-12, -30, 8), (-20, -18, -12), (-34, -4, -24)]
        )
        points = points + self.shift["esophagus"] * 0.5
        radii = np.full(len(points), 7.6 * float(self.factor["esophagus"][0]))
        if self.thick_esophagus:
            middle, length = self.thick_esophagus
            of_part = np.clip((length / 2 + 6 - np.abs(points[:, 2] - middle)) / 8, 0, 1)
            # The rest is narrow, so that the whole is no larger than others'.
            radii = radii * 0.9 + np.maximum(12.2 - radii * 0.9, 0) * of_part
        return points, radii

    def adrenal(self, side: str) -> list[np.ndarray]:
        """Courses [3, 3] of a gland's two limbs."""
        x, y, z = (36, -42, -62) if side == "right" else (-34, -36, -60)
        top = (x, y + 8, z + 16)
        limbs = [[top, (x, y, z), (x + dx, y - 16, z - 14)] for dx in (-7, 8)]
        return [self.place(f"{side} adrenal", limb) for limb in limbs]

    def kidney(self, side: str) -> tuple[np.ndarray, np.ndarray]:
        """Centre and radii [3] of a kidney."""
        centre = (60, -42, -112) if side == "right" else (-60, -42, -100)
        return self.place(f"{side} kidney", centre), np.array([27, 25, 50]) * self.factor[f"{side} kidney"] ** 0.7

    def gallbladder(self) -> tuple[np.ndarray, np.ndarray]:
        """Centre and radii [3] of the gallbladder."""
        return self.place("gallbladder", (48, 44, -94)), np.array([17, 17, 26]) * self.factor["gallbladder"] ** 0.8

    def stomach(self) -> tuple[np.ndarray, np.ndarray]:
        """Centre and radii [3] of the stomach's body."""
        return self.place("stomach", (-52, 22, -56)), np.array([37, 38, 40]) * self.factor["stomach"]

    def pancreas(self) -> tuple[np.ndarray, np.ndarray]:
        """Course [N, 3] and radii [N] of the pancreas, from its head to its tail."""
        points = curve(self.place("pancreas", [(30, 8, -116), (27, 14, -100), (4, 20, -88), (-28, -2, -80), (-58, -24, -66)]))
        return points, np.interp(np.linspace(0, 1, len(points)), (0, 0.25, 1), (15, 11.5, 9.5)) * self.factor["pancreas"][0]

    def colon(self) -> tuple[np.ndarray, float]:
        """Course [N, 3] and radius of the colon, from the hepatic to the splenic flexure and down."""
        points = [(92, 6, -190), (90, 22, -138), (50, 62, -142), (0, 70, -140), (-48, 66, -132), (-88, 30, -108),
                  (-100, -8, -104), (-102, -12, -142), (-98, -4, -190)]  # fmt: skip
        return curve(self.place("colon", points)), 16.5 * float(self.factor["colon"][0]) ** 0.8

    def hernia_centre(self) -> np.ndarray:
        """Where a part of the stomach slides through the diaphragm, behind the heart."""
        return np.array([-14, -28, 16]) + 0.5 * self.shift["esophagus"]


def changed_body(body: Body, plans: tuple[Plan, ...], rng: np.random.Generator) -> Body:
    """The body that findings change: a wide heart or aorta, a collapsed vertebra, a thick esophagus."""
    for plan in plans:
        if plan.label == "Cardiomegaly":
            # Wide, but flat, so that its volume tells little: the ratio to the chest's width is 0.56 to 0.64.
            wide = rng.uniform(77, 86)
            body = replace(body, heart_radii=np.array([wide, *(body.heart_radii[1:] * 0.88)]))
        if plan.label == "Aortic aneurysm":
            body = replace(body, aneurysm=(plan.part, plan.size / 2))
        if plan.label == "Vertebral compression fracture":
            body = replace(body, height_loss={plan.part: rng.uniform(0.42, 0.6)})
        if plan.label == "Adrenal nodule":
            # A thin gland, so that with its nodule it is no larger than others.
            body = replace(body, factor=body.factor | {f"{plan.side} adrenal": body.factor[f"{plan.side} adrenal"] * 0.8})
        if plan.label == "Esophageal wall thickening":
            body = replace(body, thick_esophagus=(88.0 if plan.part == "middle" else 34.0, plan.size))
    return body
