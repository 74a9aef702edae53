"""Light, lens and sensor: from surfaces to an 8-bit RGB frame, with the three hospitals' differences.

The light sits at the tip: what is near is bright up to over-exposure, the lumen stays dark. Cameras control exposure; white
balance, gain and contrast vary from exam to exam. Colour must not tell the class: a picture with a finding that makes
the class gets the very pixels that the same view has without it, in other places (`match_colours`).
"""

import math
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from scripts.phantoms.nasal.canvas import Canvas, Pose, Scene

_MARGIN = 4
_GROUPS = 256


@dataclass(frozen=True)
class Site:
    """A hospital's equipment: frame (rows, columns), outline and semi-axes (rows, columns) of its field of view, mean white
    balance, saturation, contrast, blur in pixels, noise, share of frames with a burnt-in clock."""

    frame: tuple[int, int]
    outline: str
    field: tuple[int, int]
    white: tuple[float, float, float]
    saturation: float
    contrast: float
    blur: float
    noise: float
    clock: float


SITES = {
    "centre A": Site((240, 240), "circle", (112, 112), (1.0, 1.0, 1.0), 1.0, 1.0, 0.6, 0.012, 0.0),
    "centre B": Site((240, 304), "ellipse", (112, 98), (1.06, 0.97, 0.90), 1.15, 1.1, 0.75, 0.016, 0.5),
    "centre C": Site((200, 248), "octagon", (94, 94), (0.93, 1.0, 1.12), 0.85, 0.92, 0.5, 0.024, 0.3),
}


@dataclass(frozen=True)
class Camera:
    """Settings of one exam.

    white and saturation change colours, gain the exposure, contrast the darkness of shadows; lamp is where the light sits beside
    the lens, in view units.
    """

    site: Site
    white: np.ndarray
    saturation: float
    gain: float
    contrast: float
    lamp: tuple[float, float]

    @classmethod
    def draw(cls, rng: np.random.Generator, site: str) -> "Camera":
        kind = SITES[site]
        white = np.array(kind.white) * np.exp(rng.normal(0, 0.07, 3))
        return cls(
            site=kind,
            white=(white / white.mean()).astype(np.float32),
            saturation=float(kind.saturation * np.exp(rng.normal(0, 0.15))),
            gain=float(np.exp(rng.normal(0, 0.1))),
            contrast=float(kind.contrast * np.exp(rng.normal(0, 0.1))),
            lamp=(float(rng.uniform(-0.25, 0.25)), float(rng.uniform(-0.35, 0.05))),
        )

    def canvas(self, pose: Pose, mirrored: bool) -> Canvas:
        """Pixel grid of the field of view's bounding box."""
        rows, columns = self.site.field
        return Canvas((2 * rows, 2 * columns), pose, mirrored)

    def field_of_view(self) -> np.ndarray:
        """Coverage of the field of view within its bounding box, [H, W] from 0 to 1; not to be written to."""
        return _field_of_view(self.site)

    def framed(self, image: np.ndarray) -> np.ndarray:
        """Place a picture [H, W, ...] of the field of view in the middle of an otherwise black frame."""
        whole = np.zeros((*self.site.frame, *image.shape[2:]), image.dtype)
        top, left = ((n - m) // 2 for n, m in zip(self.site.frame, image.shape, strict=False))
        whole[top : top + image.shape[0], left : left + image.shape[1]] = image
        return whole

    def expose(self, scene: Scene, vessels: float, dryness: float, blurred: bool, rng: np.random.Generator) -> np.ndarray:
        """Light a scene and take its picture: [H, W, 3] float32 from 0 to 1, RGB, all of the field of view's bounding box."""
        light, shine = _light(scene, self.lamp, dryness, rng)
        _draw_vessels(scene, vessels, rng)
        # Metered on what is lit: an open fossa, which is dark, would brighten the wall around it.
        lit = (self.field_of_view() > 0.5) & (light > 0.2)
        light *= self.gain * 0.72 / float(cv2.mean(light, lit.astype(np.uint8))[0])
        # Highlights lose their colour, as on a sensor that is full.
        burnt = np.clip((light - 0.95) * 1.1, 0, 0.92)
        light = np.minimum(light, 1.12)
        full = np.clip(burnt + shine, 0, 1)
        image = cv2.merge([channel * light + full * (np.float32(0.98) - channel * light) for channel in scene.albedo])
        image = np.clip(cv2.transform(image, self._colours()) + self._black(), 0, 1)
        return _badly_blurred(image, rng) if blurred else image

    def record(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Lens blur, noise and mask of a picture: frame [rows, columns, 3] uint8, black outside the field of view."""
        grain = cv2.resize(rng.standard_normal(tuple(n // 2 for n in image.shape[:2]), np.float32), image.shape[1::-1])
        view, image = self.field_of_view(), cv2.GaussianBlur(image, (0, 0), self.site.blur)
        image = cv2.merge([np.clip((channel + self.site.noise * grain) * view, 0, 1) for channel in cv2.split(image)])
        frame = self.framed((image * np.float32(255)).astype(np.uint8))
        return _with_clock(frame, rng) if rng.random() < self.site.clock else frame

    def _colours(self) -> np.ndarray:
        """Matrix [3, 3] from linear to recorded RGB: white balance, then saturation and contrast about a middle grey."""
        grey = np.tile(np.array([0.3, 0.55, 0.15], np.float32), (3, 1))
        saturated = self.saturation * np.eye(3, dtype=np.float32) + (1 - self.saturation) * grey
        return (self.contrast * saturated * self.white).astype(np.float32)

    def _black(self) -> np.float32:
        """What black is recorded as."""
        return np.float32(0.45 * (1 - self.contrast))


@cache
def _field_of_view(site: Site) -> np.ndarray:
    half = np.array(site.field[::-1], float)
    if site.outline == "octagon":
        angle = np.deg2rad(22.5 + 45 * np.arange(8))
        corners = half + half * np.stack([np.cos(angle), np.sin(angle)], -1) / np.cos(np.deg2rad(22.5))
    else:
        angle = np.linspace(0, 2 * np.pi, 96, endpoint=False)
        corners = half + half * np.stack([np.cos(angle), np.sin(angle)], -1)
        if site.outline == "ellipse":  # cut flat above and below, as by a sensor that is wider than high
            corners[:, 1] = np.clip(corners[:, 1], 0.06 * half[1], 1.94 * half[1])
    mask = np.zeros((2 * site.field[0], 2 * site.field[1]), np.uint8)
    cv2.fillPoly(mask, [np.round((corners - 0.5) * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    return mask.astype(np.float32) / 255


def _light(scene: Scene, lamp: tuple[float, float], dryness: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Diffuse light and specular shine, each [H, W]."""
    canvas = scene.canvas
    height = canvas.soften(scene.height, 0.014)
    bumps = 0.006 * canvas.noise(rng, 0.16, 0.05)
    scale = 0.125 * canvas.scale
    smooth_and_rough, axes = (height, height + bumps), ((1, 0), (0, 1))
    slopes = [1.1 * scale * cv2.Sobel(surface, cv2.CV_32F, *axis, ksize=3) for surface in smooth_and_rough for axis in axes]
    x, y, rough_x, rough_y = (np.clip(slope, -4, 4) for slope in slopes)
    length = np.sqrt(1 + x * x + y * y)
    offset_x = lamp[0] + 0.35 * (np.linspace(-1, 1, canvas.shape[1], dtype=np.float32)[None])
    offset_y = lamp[1] + 0.35 * (np.linspace(-1, 1, canvas.shape[0], dtype=np.float32)[:, None])
    facing = np.clip((1 - x * lamp[0] - y * lamp[1]) / (length * math.hypot(1, *lamp)), 0, 1)
    around = canvas.soften(scene.height, 0.12)
    hidden = np.clip((around - scene.height) * 1.6, 0, 0.6)
    light = (0.02 + 0.98 * height) * (0.3 + 0.7 * facing) * (1 - hidden)
    light *= 1 - 0.6 * (offset_x * offset_x + offset_y * offset_y)
    # Shine where the rough surface mirrors the lamp: in the middle of what faces it, seldom near the rim.
    tilt_x, tilt_y = rough_x + 1.3 * offset_x, rough_y + 1.3 * offset_y
    mirror = 1 - 14.0 * (tilt_x * tilt_x + tilt_y * tilt_y)
    # Mucosa is wet in patches only, the more the glossier it is.
    patches = np.clip(canvas.noise(rng, 0.3) - 1.4 + 0.6 * scene.gloss, 0, 1)
    shine = 1.8 * np.clip(mirror, 0, 1) * patches * (1 - dryness) * np.clip(2.5 * height - 0.6, 0, 1)
    return light, np.clip(cv2.GaussianBlur(shine, (0, 0), 0.6), 0, 0.95)


def _draw_vessels(scene: Scene, strength: float, rng: np.random.Generator) -> None:
    """Fine branching lines, darker and redder than the mucosa."""
    canvas, lines, widths = scene.canvas, [], []
    for _ in range(int(14 * strength) + 3):
        point, angle = rng.uniform(-1, 1, 2), rng.uniform(0, 2 * np.pi)
        for branch in range(int(rng.integers(1, 4))):
            turns = angle + (branch > 0) * rng.normal(0, 0.8) + np.cumsum(rng.normal(0, 0.35, 9))
            path = point + np.cumsum(0.055 * np.stack([np.cos(turns), np.sin(turns)], -1), 0)
            lines.append(np.vstack([point, path]))
            widths.append(0.006 if branch else 0.011)
            point = path[int(rng.integers(2, 7))]
    cover = canvas.stroke(np.array(lines), np.array(widths), 0.006)
    darker = 0.45 * np.clip(scene.vascular, 0, 2) * cover
    mottled = 0.05 * canvas.noise(rng, 0.3, 0.12)
    for channel, blood in zip(scene.albedo, (0.35, 1.0, 0.9), strict=True):
        channel *= (1 - np.float32(blood) * darker) * (1 + np.float32(blood) * mottled)


def match_colours(image: np.ndarray, reference: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Give an image the reference's pixels, each where its own is about as bright and as red for its brightness.

    The joint distribution of the colours becomes the reference's exactly, and no colour occurs that the reference lacks, which
    is what matching channel by channel would bring about.

    Args:
        image, reference: [H, W, 3] float32 from 0 to 1, RGB.
        inside: [H, W] bool, the field of view; what is outside stays.
    """
    matched, pixels = image.copy(), reference[inside]
    values = np.empty_like(pixels)
    values[_by_brightness_and_redness(image[inside])] = pixels[_by_brightness_and_redness(pixels)]
    matched[inside] = values
    return matched


def _by_brightness_and_redness(pixels: np.ndarray) -> np.ndarray:
    """Order of pixels [N, 3]: in groups of like brightness, of 1 / _GROUPS of them all, within a group the reddest last."""
    red, green, blue = pixels.T
    bright = (np.float32(65535) * np.clip(0.3 * red + 0.55 * green + 0.15 * blue, 0, 1)).astype(np.uint16)
    redness = (np.float32(127.5) * (1 + np.clip(red - 0.5 * (green + blue), -1, 1))).astype(np.uint16)
    # numpy sorts 16-bit keys by radix, several times faster than wider ones.
    order = np.argsort(bright, kind="stable")
    group = (np.arange(len(pixels)) * _GROUPS // len(pixels)).astype(np.uint16)
    return order[np.argsort(group * 256 + redness[order], kind="stable")]


def _badly_blurred(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Out of focus, or moved while it was taken."""
    if rng.random() < 0.5:
        return cv2.GaussianBlur(image, (0, 0), rng.uniform(3.0, 5.0))
    length = int(rng.integers(9, 16))
    kernel = np.zeros((length, length), np.uint8)
    angle = rng.uniform(0, np.pi)
    reach = np.array([np.cos(angle), np.sin(angle)]) * length / 2
    ends = [tuple(int(v) for v in np.round(length / 2 - 0.5 + sign * reach)) for sign in (-1, 1)]
    cv2.line(kernel, *ends, 1)
    return cv2.filter2D(image, -1, kernel.astype(np.float32) / kernel.sum(), borderType=cv2.BORDER_REFLECT)


def _with_clock(frame: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Burn a time of day into a corner, outside the field of view."""
    text = f"{rng.integers(8, 18):02d}:{rng.integers(60):02d}"
    row = 12 if rng.random() < 0.5 else frame.shape[0] - _MARGIN
    return cv2.putText(frame, text, (_MARGIN, row), cv2.FONT_HERSHEY_PLAIN, 0.7, (210, 210, 210), 1, cv2.LINE_AA)
