"""Draw a body's layers on a canvas: soft tissue, lungs, bones, heart, vessels, breasts, stomach."""

import cv2
import numpy as np

from scripts.phantoms.cxr.anatomy import LEFT, RIGHT, SIGN, Body, Canvas, Chest, circle, smooth_closed


def draw_chest(body: Body, canvas: Canvas, seed: list[int]) -> Chest:
    """Draw every layer of a chest without findings.

    Args:
        body: the patient.
        canvas: film and pose.
        seed: fixes what is drawn at random inside the body, so that the same patient can be drawn again with another
            heart.
    """
    rng = np.random.default_rng(seed)
    fields = {name: canvas.fill(body.lung_outline(side), 0.012) for name, side in SIGN.items()}
    heart = canvas.fill(body.heart_outline(), 0.016)
    centre = _mediastinum(body, canvas)
    open_lung = (1 - 0.88 * heart) * (1 - centre)
    lungs = {name: mask * open_lung for name, mask in fields.items()}
    tissue = _soft_tissue(body, canvas, rng)
    both = fields["right"] + fields["left"]
    air = (lungs["right"] + lungs["left"]) * _depth(body, canvas)
    tissue += 0.05 * heart + 0.035 * centre + _breasts(body, canvas, rng)
    chest = Chest(
        body=body,
        canvas=canvas,
        tissue=tissue,
        air=air,
        lungs=lungs,
        fields=fields,
        vessels=body.vessel_contrast * _vessels(body, canvas, rng),
        bones=_ribs(body, canvas, rng, both) + _clavicles(body, canvas, rng) + _spine(body, canvas, rng),
        texture=0.012 * rng.uniform(0.6, 1.8) * canvas.noise(rng, (0.5, 0.25, 0.12, 0.06, 0.03), 0.7),
        heart=heart,
        added=np.zeros(canvas.shape, np.float32),
        sharp=np.ones(canvas.shape, np.float32),
    )
    chest.tissue -= _gas(body, canvas, rng) + _trachea(body, canvas)
    return chest


def _soft_tissue(body: Body, canvas: Canvas, rng: np.random.Generator) -> np.ndarray:
    """Thickness of body, neck, shoulders and sometimes arms along the beam: 0 in air, about 1 in the middle."""
    h, out = body.lung_height, 0.97 + body.flesh
    drop = rng.uniform(-0.12, 0.12)
    arm = rng.uniform(0.15, 0.42)
    half_x = [
        0.3,
        0.33,
        0.5,
        0.95,
        out + 0.1,
        out + arm,
        out + arm * 0.8,
        out * 0.99,
        out * 0.98,
        out,
        out + 0.04,
        out + 0.05,
    ]
    half_y = [-1.2, -0.32, -0.2, -0.13 + drop, -0.08 + drop, 0.12 + drop, 0.38, 0.55, 0.7, h * 0.75, h * 1.05, h * 2]
    outline = np.array([*zip(half_x, half_y, strict=True)])
    mirrored = outline[::-1] * (-1, 1)
    body_mask = canvas.fill(np.vstack([smooth_closed(np.vstack([outline, mirrored]), 6)]), 0.012)
    edge = canvas.soften(body_mask, 0.09)
    thickness = 0.55 + 0.45 * np.sqrt(np.clip(1 - (canvas.x / (out + 0.15)) ** 2, 0, 1))
    thickness *= np.clip(0.82 + 0.2 * canvas.y / h, 0.6, 1.1)
    tissue = body_mask * np.clip(1.5 * edge - 0.35, 0.1, 1) * thickness
    if rng.random() < 0.5:
        for side in (RIGHT, LEFT):
            lean = rng.uniform(0.0, 0.25)
            top, bottom = np.array([side * (out + 0.2), 0.2]), np.array([side * (out + 0.22 + lean), h * 1.5])
            limb = np.zeros(canvas.shape, np.uint8)
            canvas.stroke(limb, [np.stack([top, bottom])], 0.32, 255)
            shaft = np.zeros(canvas.shape, np.uint8)
            canvas.stroke(shaft, [np.stack([top, bottom])], 0.12, 255)
            soft = canvas.soften(limb.astype(np.float32) / 255, 0.03)
            tissue = np.maximum(tissue, 0.5 * soft + 0.12 * canvas.soften(shaft.astype(np.float32) / 255, 0.012))
    return tissue.astype(np.float32)


def _depth(body: Body, canvas: Canvas) -> np.ndarray:
    """How much air the beam crosses relative to the deepest part: less at the apex and the lateral wall."""
    across = np.clip(np.abs(canvas.x) / 0.97, 0, 1)
    down = np.clip(canvas.y / (0.5 * body.lung_height), 0, 1)
    return ((0.72 + 0.28 * np.sqrt(1 - across**2)) * (0.78 + 0.22 * down)).astype(np.float32)


def _mediastinum(body: Body, canvas: Canvas) -> np.ndarray:
    """Great vessels and aortic knob between the lungs, coverage 0 to 1."""
    h, m = body.lung_height, body.mediastinum
    left_y = [-0.5, 0.0, 0.14, 0.24, 0.33, 0.5, 1.4]
    left_s = [m * 0.9, m * 0.9, m * 0.95, m, m * 1.05, m * 0.8, m * 0.7]
    right_s = [m * 0.95, m * 0.9, m * 0.8, m * 0.75, m * 0.8, m * 0.75, m * 0.6]
    left = body.place(LEFT, left_s, np.array(left_y) * h)
    right = body.place(RIGHT, right_s, np.array(left_y) * h)[::-1]
    column = canvas.fill(np.vstack([left, right]), 0.022)
    knob = canvas.fill(body.place(LEFT, 0, 0.27 * h) + circle((m * 0.82, 0.0), (body.knob * 1.15, body.knob * 1.3)), 0.012)
    return np.maximum(column, knob)


def _rib_lines(body: Body) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Centre lines of the posterior and the anterior parts of the ribs of both sides."""
    posterior, anterior = [], []
    spacing = body.lung_height / (body.rib_count - 0.6)
    t = np.linspace(0, 1, 14)
    for number in range(body.rib_count + 1):
        origin = -0.06 + number * spacing
        slope = body.rib_slope * (0.75 + 0.5 * np.exp(-number / 2))
        arch = origin - 0.06 * np.sin(np.pi * np.minimum(1, 1.6 * t)) + slope * t**2.2
        reach = min(1.0, 0.55 + 0.16 * number)
        wall = float(body.wall(arch[-1])) + 0.015
        s = 0.1 + (wall * reach + wall * (1 - reach) - 0.1) * np.sin(t * np.pi / 2)
        turn = arch[-1] + 0.03 + (0.14 + 0.3 * body.rib_slope) * t**1.3 + 0.05 * np.sqrt(t)
        front = wall - (wall - 0.34 - 0.04 * number) * (0.04 + 0.96 * t**1.2)
        for side in (RIGHT, LEFT):
            posterior.append(body.place(side, s, arch))
            if number < body.rib_count - 2:
                anterior.append(body.place(side, front, turn))
    return posterior, anterior


def _band(canvas: Canvas, lines: list[np.ndarray], width: float) -> np.ndarray:
    """Bone shadows with a brighter cortex along both edges, about 0 to 1."""
    outer, inner = (np.zeros(canvas.shape, np.uint8) for _ in range(2))
    canvas.stroke(outer, lines, width, 255)
    canvas.stroke(inner, lines, width * 0.62, 255)
    return cv2.GaussianBlur(cv2.addWeighted(outer, 1, inner, -0.42, 0), (0, 0), 0.6).astype(np.float32) / 255


def _ribs(body: Body, canvas: Canvas, rng: np.random.Generator, lungs: np.ndarray) -> np.ndarray:
    posterior, anterior = _rib_lines(body)
    width = 0.085 * rng.uniform(0.85, 1.15)
    shadow = _band(canvas, posterior, width) + rng.uniform(0.25, 0.65) * _band(canvas, anterior, width * 1.1)
    inside = cv2.GaussianBlur(np.clip(lungs, 0, 1), (0, 0), 0.05 * canvas.scale)
    return body.rib_contrast * shadow * (0.2 + 0.8 * inside)


def _clavicles(body: Body, canvas: Canvas, rng: np.random.Generator) -> np.ndarray:
    """Clavicles, shoulder blades and the heads of the humeri."""
    collars, blades, heads = [], [], np.zeros(canvas.shape, np.uint8)
    strength = body.rib_contrast * rng.uniform(1.0, 1.5)
    for side in (RIGHT, LEFT):
        low, tilt, border = rng.uniform(0.17, 0.31), rng.uniform(0.04, 0.2), rng.uniform(0.72, 0.92)
        collar = [
            [0.12, low],
            [0.35, low - 0.02 - tilt * 0.4],
            [0.6, low - 0.1 - tilt],
            [0.85, low - 0.12 - tilt],
            [1, low - 0.09 - tilt],
        ]
        collars.append(_dense(np.array(collar) * (side, 1)))
        blade = [
            [border - 0.02, 0.18],
            [border, 0.4],
            [border + 0.04, 0.62],
            [border + 0.12, 0.72],
            [1.05, 0.45],
            [1.12, 0.1],
        ]
        blades.append(_dense(np.array(blade) * (side, 1)))
        shoulder = circle((side * 1.14, 0.04 + rng.uniform(-0.04, 0.04)), (0.13, 0.15))
        cv2.fillPoly(heads, [canvas.pixels(shoulder)], 255, cv2.LINE_AA, 4)
    bones = _band(canvas, collars, 0.085) + 0.45 * _band(canvas, blades, 0.05)
    return strength * (bones + 1.1 * canvas.soften(heads.astype(np.float32) / 255, 0.02))


def _dense(line: np.ndarray, steps: int = 6) -> np.ndarray:
    """An open line with points in between, rounded at its corners."""
    t = np.linspace(0, len(line) - 1, len(line) * steps)
    dense = np.stack([np.interp(t, np.arange(len(line)), column) for column in line.T], axis=-1)
    kernel = np.ones(steps) / steps
    padded = np.pad(dense, ((steps // 2, steps - 1 - steps // 2), (0, 0)), mode="edge")
    return np.stack([np.convolve(column, kernel, "valid") for column in padded.T], axis=-1)


def _spine(body: Body, canvas: Canvas, rng: np.random.Generator) -> np.ndarray:
    """Vertebral bodies, end plates and pedicles, seen faintly through the mediastinum."""
    ends = np.linspace(-0.9, body.lung_height * 1.9, 38)
    step = ends[1] - ends[0]
    column = canvas.fill(np.vstack([body.place(RIGHT, 0.1, ends), body.place(LEFT, 0.1, ends)[::-1]]), 0.02)
    plates, pedicles = (np.zeros(canvas.shape, np.uint8) for _ in range(2))
    spine = body.place(LEFT, 0, ends)
    canvas.stroke(plates, [spine[i] + np.array([[-0.1, 0], [0.1, 0]]) for i in range(len(ends))], 0.014, 255)
    dots = [
        spine[i] + np.array([[side * 0.065, step * 0.4], [side * 0.065, step * 0.55]]) for i in range(len(ends)) for side in (-1, 1)
    ]
    canvas.stroke(pedicles, dots, 0.03, 255)
    detail = plates.astype(np.float32) / 255 + 0.7 * (pedicles.astype(np.float32) / 255)
    return (0.035 * column + 0.04 * cv2.GaussianBlur(detail, (0, 0), 0.7)) * rng.uniform(0.7, 1.3)


def _vessels(body: Body, canvas: Canvas, rng: np.random.Generator) -> np.ndarray:
    """Hila and the vessels that branch from them, thinner and fainter outwards, about 0 to 1."""
    drawn, trunks = (np.zeros(canvas.shape, np.uint8) for _ in range(2))
    for side in (RIGHT, LEFT):
        s, y = body.hilum(side)
        hilum = body.place(side, s, y)
        base = rng.uniform(-0.15, 0.15, 11) + np.linspace(-1.45, 1.5, 11)
        start = hilum + rng.normal(0, 0.025, (11, 2))
        length = rng.uniform(0.4, 0.62, 11) + 0.16 * np.abs(np.sin(base)) * body.lung_height
        first = _walk(rng, start, base, length, side)
        second_at, second_angle, second_length = _fork(rng, first, base, length, 4)
        second = _walk(rng, second_at, second_angle, second_length, side)
        third_at, third_angle, third_length = _fork(rng, second, second_angle, second_length, 2)
        third = _walk(rng, third_at, third_angle, third_length, side)
        canvas.stroke(drawn, third, 0.008, 105)
        canvas.stroke(drawn, second, 0.012, 150)
        canvas.stroke(drawn, first[:, 3:], 0.016, 190)
        canvas.stroke(drawn, first[:, :4], 0.026, 225)
        size = body.hilum_size
        for dy in (-0.09, 0.0, 0.1):
            centre = hilum + np.array([side * rng.uniform(-0.035, 0.02), dy * size + rng.uniform(-0.02, 0.02)])
            cv2.fillPoly(trunks, [canvas.pixels(circle(tuple(centre), (0.055 * size, 0.085 * size)))], 255, cv2.LINE_AA, 4)
    lines = cv2.GaussianBlur(drawn, (0, 0), 0.6).astype(np.float32) / 255
    return lines + 0.9 * canvas.soften(trunks.astype(np.float32) / 255, 0.03)


def _walk(rng: np.random.Generator, start: np.ndarray, angle: np.ndarray, length: np.ndarray, side: int) -> np.ndarray:
    """Gently winding lines from start points [N, 2], each with 7 points, [N, 7, 2]."""
    turn = angle[:, None] + np.cumsum(rng.normal(0, 0.13, (len(start), 6)), axis=1)
    step = (length / 6)[:, None, None] * np.stack([side * np.cos(turn), np.sin(turn)], axis=-1)
    return np.concatenate([start[:, None], start[:, None] + np.cumsum(step, axis=1)], axis=1)


def _fork(rng: np.random.Generator, lines: np.ndarray, angle: np.ndarray, length: np.ndarray, count: int):
    """Where branches leave their parents: points, angles and lengths of `count` branches a line."""
    parent = np.repeat(np.arange(len(lines)), count)
    at = rng.integers(1, 6, len(parent))
    sign = np.where(np.arange(len(parent)) % 2, 1, -1)
    return (
        lines[parent, at],
        angle[parent] + sign * rng.uniform(0.25, 0.7, len(parent)),
        length[parent] * rng.uniform(0.3, 0.6, len(parent)),
    )


def _breasts(body: Body, canvas: Canvas, rng: np.random.Generator) -> np.ndarray:
    """Breast shadows over the lower lungs, or nothing."""
    total = np.zeros(canvas.shape, np.float32)
    if not body.breast:
        return total
    h, size = body.lung_height, body.breast
    for side in (RIGHT, LEFT):
        centre = (side * rng.uniform(0.55, 0.66), h * rng.uniform(0.7, 0.8))
        shape = canvas.fill(circle(centre, (0.3 + 0.14 * size, 0.22 + 0.16 * size)), 0.015)
        fade = np.clip(0.5 + (canvas.y - centre[1]) / (0.5 * size), 0, 1)
        total += shape * fade * (0.05 + 0.07 * size) * rng.uniform(0.8, 1.2)
    return total


def _gas(body: Body, canvas: Canvas, rng: np.random.Generator) -> np.ndarray:
    """Gas in the stomach under the left diaphragm and in the bowel: attenuation to take away."""
    total = np.zeros(canvas.shape, np.float32)
    top = body.dome_top(LEFT)
    if rng.random() < 0.65:
        wide, tall = rng.uniform(0.12, 0.26), rng.uniform(0.06, 0.14)
        bubble = circle((rng.uniform(0.4, 0.58), top + 0.07 + tall), (wide, tall))
        bubble[:, 1] = np.minimum(bubble[:, 1], top + 0.07 + tall * rng.uniform(1.2, 2.0))
        total += canvas.fill(bubble, 0.012) * rng.uniform(0.12, 0.3)
    for _ in range(rng.integers(0, 4)):
        centre = (rng.uniform(-0.3, 0.8), body.lung_height + rng.uniform(0.1, 0.4))
        total += canvas.fill(circle(centre, tuple(rng.uniform(0.05, 0.12, 2))), 0.02) * rng.uniform(0.04, 0.16)
    return total


def _trachea(body: Body, canvas: Canvas) -> np.ndarray:
    """The air column of the trachea and main bronchi: attenuation to take away."""
    mask, h = np.zeros(canvas.shape, np.uint8), body.lung_height
    y = np.linspace(-0.5, 0.31 * h, 10)
    canvas.stroke(mask, [body.place(RIGHT, 0.02, y)], 0.1, 255)
    fork = np.array([0.0, 0.31 * h])
    for side in (RIGHT, LEFT):
        s, level = body.hilum(side)
        canvas.stroke(mask, [np.stack([body.place(RIGHT, 0.02, fork[1]), body.place(side, s * 0.8, level - 0.04)])], 0.06, 170)
    return 0.1 * canvas.soften(mask.astype(np.float32) / 255, 0.018)
