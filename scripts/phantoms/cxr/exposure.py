"""From attenuation to an 8-bit film: devices and markers, histogram, exposure, scatter, blur, noise, collimation.

A film's grey histogram must not tell what is on it. Real detectors and post-processing normalise a film to a standard
histogram, and so does `match_histogram`: the film with its findings gets the very histogram that the same patient would
have without them. Exposure, gamma, mean and contrast are drawn afterwards, alike for every film.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from scripts.phantoms.cxr.anatomy import LEFT, RIGHT, Body, Canvas, circle

DEVICES = ("endotracheal tube", "central line", "enteric tube", "pacemaker", "electrodes", "sternal wires")


@dataclass(frozen=True)
class Technique:
    """How the film was taken; what a report may mention."""

    projection: str
    devices: tuple[str, ...]

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Technique":
        portable = rng.random() < 0.5
        odds = (0.25, 0.3, 0.2, 0.1, 0.45, 0.1) if portable else (0.0, 0.08, 0.02, 0.12, 0.08, 0.12)
        devices = tuple(name for name, odd in zip(DEVICES, odds, strict=True) if rng.random() < odd)
        return cls("AP" if portable else "PA", devices)


def match_histogram(image: np.ndarray, reference: np.ndarray, levels: int = 512) -> np.ndarray:
    """Map grey levels monotonously so that the image's distribution becomes the reference's (both [H, W] float32)."""
    have, levels_in = _cumulative(image, levels)
    want, levels_out = _cumulative(reference, levels)
    # The ramp makes empty levels increase, which interpolation asks for.
    table = np.interp(have, want + np.linspace(0, 1e-6, levels + 1), levels_out)
    return np.interp(image, levels_in, table).astype(np.float32)


def _cumulative(image: np.ndarray, levels: int) -> tuple[np.ndarray, np.ndarray]:
    """Cumulative histogram from 0 to 1 and the grey levels it stands at."""
    low, high = float(image.min()), float(image.max())
    counts = cv2.calcHist([image], [0], None, [levels], [low, high + 1e-6 * (high - low) + 1e-9])[:, 0]
    return np.concatenate([[0], np.cumsum(counts) / image.size]), np.linspace(low, high, levels + 1)


def devices_layer(body: Body, canvas: Canvas, technique: Technique, rng: np.random.Generator) -> np.ndarray:
    """Tubes, lines, wires and harmless shadows (nipples, calcified granuloma): attenuation to add, [H, W]."""
    mask = np.zeros(canvas.shape, np.uint8)
    h = body.lung_height
    for device in technique.devices:
        _DRAW_DEVICE[device](mask, body, canvas, rng)
    total = 0.35 * (cv2.GaussianBlur(mask, (0, 0), 0.6).astype(np.float32) / 255)
    if rng.random() < 0.15:
        for side in (RIGHT, LEFT):
            spot = (side * rng.uniform(0.5, 0.65), h * rng.uniform(0.72, 0.82))
            total += rng.uniform(0.03, 0.08) * canvas.fill(circle(spot, rng.uniform(0.03, 0.045)), 0.006)
    if rng.random() < 0.12:
        spot = body.place(int(rng.choice([RIGHT, LEFT])), rng.uniform(0.3, 0.7), h * rng.uniform(0.15, 0.7))
        total += rng.uniform(0.2, 0.35) * canvas.fill(circle(tuple(spot), rng.uniform(0.014, 0.024)))
    return total


def _curve(points: list[tuple[float, float]], rng: np.random.Generator, wobble: float = 0.02) -> np.ndarray:
    """A smooth line through points with a little random wobble, [N, 2]."""
    points = np.asarray(points, float) + rng.normal(0, wobble, (len(points), 2))
    t = np.linspace(0, 1, 40)
    order = min(3, len(points) - 1)
    along = np.linspace(0, 1, len(points))
    return np.stack([np.polyval(np.polyfit(along, column, order), t) for column in points.T], axis=-1)


def _endotracheal_tube(mask: np.ndarray, body: Body, canvas: Canvas, rng: np.random.Generator) -> None:
    tip = body.lung_height * rng.uniform(0.12, 0.27)
    canvas.stroke(mask, [_curve([(0.02, -0.8), (0.01, -0.4), (-0.01, 0.0), (-0.02, tip)], rng, 0.008)], 0.02, 190)


def _central_line(mask: np.ndarray, body: Body, canvas: Canvas, rng: np.random.Generator) -> None:
    side = int(rng.choice([RIGHT, LEFT]))
    tip = (-0.16, body.lung_height * rng.uniform(0.36, 0.52))
    if rng.random() < 0.5:
        line = [(side * 0.28, -0.5), (side * 0.24, -0.1), (side * 0.1 - 0.06, 0.2), tip]
    else:
        line = [(side * 1.15, 0.35), (side * 0.85, 0.05), (side * 0.35, 0.06), (-0.1, 0.24), tip]
    canvas.stroke(mask, [_curve(line, rng)], 0.012, 200)


def _enteric_tube(mask: np.ndarray, body: Body, canvas: Canvas, rng: np.random.Generator) -> None:
    h = body.lung_height
    line = [(0.03, -0.8), (0.04, 0.1), (0.02, 0.5 * h), (0.06, 0.85 * h), (0.3, 1.1 * h), (0.42, 1.25 * h)]
    canvas.stroke(mask, [_curve(line, rng, 0.012)], 0.014, 180)


def _pacemaker(mask: np.ndarray, body: Body, canvas: Canvas, rng: np.random.Generator) -> None:
    side, h = (LEFT if rng.random() < 0.8 else RIGHT), body.lung_height
    x, y = side * rng.uniform(0.6, 0.8), rng.uniform(0.12, 0.28)
    can = circle((x, y), (0.13, 0.11), 24)
    cv2.fillPoly(mask, [canvas.pixels(can)], 255, cv2.LINE_AA, 4)
    heart = (0.35 * body.heart_ratio * 1.9, 0.86 * h)
    lines = [
        [(x, y), (side * 0.3, 0.08), (-0.1, 0.25), (-0.16, 0.6 * h), heart],
        [(x, y), (side * 0.28, 0.12), (-0.12, 0.3), (-0.2, 0.66 * h)],
    ]
    canvas.stroke(mask, [_curve(line, rng) for line in lines[: rng.integers(1, 3)]], 0.014, 230)


def _electrodes(mask: np.ndarray, body: Body, canvas: Canvas, rng: np.random.Generator) -> None:
    for _ in range(rng.integers(2, 5)):
        side = int(rng.choice([RIGHT, LEFT]))
        spot = np.array([side * rng.uniform(0.35, 0.95), rng.uniform(0.05, 1.0) * body.lung_height])
        end = np.array([side * rng.uniform(0.9, 1.5), spot[1] + rng.uniform(0.3, 1.2)])
        middle = (spot + end) / 2 + rng.normal(0, 0.15, 2)
        canvas.stroke(mask, [_curve([tuple(spot), tuple(middle), tuple(end)], rng, 0.0)], 0.008, 120)
        ring = circle(tuple(spot), rng.uniform(0.025, 0.04), 16)
        canvas.stroke(mask, [ring], 0.014, 210, closed=True)


def _sternal_wires(mask: np.ndarray, body: Body, canvas: Canvas, rng: np.random.Generator) -> None:
    for level in np.linspace(0.18, 0.75, rng.integers(4, 7)) * body.lung_height:
        canvas.stroke(mask, [circle((rng.uniform(-0.02, 0.02), level), (0.04, 0.025), 14)], 0.01, 220, closed=True)


_DRAW_DEVICE = {
    "endotracheal tube": _endotracheal_tube,
    "central line": _central_line,
    "enteric tube": _enteric_tube,
    "pacemaker": _pacemaker,
    "electrodes": _electrodes,
    "sternal wires": _sternal_wires,
}


def expose(attenuation: np.ndarray, canvas: Canvas, technique: Technique, rng: np.random.Generator) -> np.ndarray:
    """Turn attenuation into a film, [H, W] uint8, of random exposure, scatter, sharpness, noise, marker and border."""
    shape = attenuation.shape
    scatter = cv2.GaussianBlur(cv2.resize(attenuation, None, fx=0.125, fy=0.125, interpolation=cv2.INTER_AREA), (0, 0), 3.0)
    share = rng.uniform(0.0, 0.25)
    image = (1 - share) * attenuation + share * cv2.resize(scatter, shape[::-1])
    image = 1 / (1 + np.exp(-(image - rng.uniform(0.45, 0.75)) * rng.uniform(2.5, 5.0)))
    low, high = np.percentile(image[::4, ::4], [0.5, 99.5])
    image = np.clip((image - low) / (high - low), 0, 1.05) ** float(np.exp(rng.uniform(-0.45, 0.4)))
    ramp = rng.normal(0, 0.04, 2)
    image += float(ramp[0]) * canvas.x + float(ramp[1]) * canvas.y
    if rng.random() < 0.6:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 0.8))
    elif rng.random() < 0.4:
        image += rng.uniform(0.3, 0.8) * (image - cv2.GaussianBlur(image, (0, 0), 1.5))
    image = (image - image.mean()) / image.std()
    image += rng.standard_normal(shape, np.float32) * float(np.exp(rng.uniform(np.log(0.01), np.log(0.09))))
    contrast, middle = rng.uniform(30, 66), rng.uniform(95, 165)
    if rng.random() < 0.5:
        middle = min(180.0, rng.uniform(0, 25) - contrast * float(np.percentile(image[::4, ::4], 1)))
    image = image * contrast + middle
    image = _marker(np.clip(image, 0, 255).astype(np.uint8), technique, rng)
    return _collimate(image, rng)


def _marker(film: np.ndarray, technique: Technique, rng: np.random.Generator) -> np.ndarray:
    """A side letter in an upper corner, on portable films with AP and PORTABLE; sometimes none."""
    if rng.random() < 0.2:
        return film
    rows, columns = film.shape
    left = rng.random() < 0.6
    x = int(columns * (rng.uniform(0.86, 0.93) if left else rng.uniform(0.03, 0.08)))
    y = int(rows * rng.uniform(0.06, 0.16))
    grey = int(rng.integers(200, 256))
    cv2.putText(film, "L" if left else "R", (x, y), cv2.FONT_HERSHEY_SIMPLEX, rng.uniform(0.4, 0.65), grey, 1, cv2.LINE_AA)
    if technique.projection == "AP" and rng.random() < 0.7:
        cv2.putText(film, "AP", (x, y + 14), cv2.FONT_HERSHEY_SIMPLEX, 0.3, grey, 1, cv2.LINE_AA)
        x = min(x, columns - 46)
        cv2.putText(film, "PORTABLE", (x, y + 26), cv2.FONT_HERSHEY_SIMPLEX, 0.25, grey, 1, cv2.LINE_AA)
    return film


def _collimate(film: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Black out what lies outside a slightly turned rectangle on a third of the films."""
    if rng.random() > 0.35:
        return film
    rows, columns = film.shape
    margin = rng.uniform(-0.02, 0.035, 4) * (columns, rows, columns, rows)
    box = np.array(
        [
            [margin[0], margin[1]],
            [columns - margin[2], margin[1]],
            [columns - margin[2], rows - margin[3]],
            [margin[0], rows - margin[3]],
        ]
    )
    angle = np.deg2rad(rng.normal(0, 1.2))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre = np.array([columns / 2, rows / 2])
    window = np.zeros(film.shape, np.uint8)
    cv2.fillPoly(window, [np.round(((box - centre) @ turn.T + centre) * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    return cv2.multiply(film, window, scale=1 / 255)
