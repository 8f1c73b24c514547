"""A simulator that draws faces: head, hair, eyes, mouth, glasses and colours are its parameters."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from configs.components.apis import FacesApiConfig
from evolution.api import APIS, Surroundings
from evolution.apis.reflection import reflected
from evolution.samples import Samples

FINE = 4  # pixels of the canvas per pixel of the image, along each side
RANGES: dict[str, tuple[float, float]] = {
    "background_hue": (0, 1),
    "background_value": (0.1, 0.95),
    "skin": (0, 1),  # from dark to pale
    "skin_red": (0, 1),
    "light": (0.75, 1.15),
    "head_x": (0.42, 0.58),  # of the middle; all lengths are divided by the frame's side
    "head_y": (0.46, 0.60),
    "head_width": (0.44, 0.66),
    "head_height": (0.60, 0.84),
    "tilt": (-15, 15),  # degrees
    "hair_hue": (0.02, 0.14),
    "hair_value": (0.05, 0.95),
    "hair_length": (0, 1),  # 0: bald, 0.3: to the ears, 1: to the shoulders
    "fringe": (0, 1),
    "eye_distance": (0.34, 0.48),  # divided by the head's width
    "eye_height": (-0.08, 0.06),  # from the head's middle, divided by its height
    "eye_size": (0.05, 0.10),
    "brow": (0.01, 0.035),
    "nose": (0.05, 0.14),
    "mouth_width": (0.22, 0.46),
    "mouth_open": (0.0, 0.08),
    "smile": (-0.05, 0.12),
    "lip_red": (0, 1),
    "glasses": (0, 1),  # on from 0.75
    "beard": (0, 1),  # on from 0.75
}
NAMES = tuple(RANGES)
LOW, HIGH = (np.array([limits[i] for limits in RANGES.values()]) for i in (0, 1))
ON = 0.75
Colour = tuple[int, int, int]


@APIS.register(FacesApiConfig)
class FaceDrawer:
    """Faces of a few ellipses and lines. All categories have the same ranges; votes tell them apart."""

    needs_parameters = True

    def __init__(self, config: FacesApiConfig, surroundings: Surroundings) -> None:
        self.image = surroundings.image

    def random(self, category: str, count: int, rng: np.random.Generator) -> Samples:
        """Samples with every parameter uniform in its range."""
        return self.samples(rng.uniform(LOW, HIGH, (count, len(NAMES))))

    def vary(self, samples: Samples, degree: float, rng: np.random.Generator) -> Samples:
        """Every parameter moved by a normal of std `degree` thirds of its range, and reflected at its ends."""
        moved = samples.parameters + rng.normal(0, degree / 3, samples.parameters.shape) * (HIGH - LOW)
        return self.samples(reflected(moved, LOW, HIGH))

    def samples(self, rows: np.ndarray) -> Samples:
        """The faces with these parameters, float64 [N, P], drawn."""
        images = np.empty((len(rows), *self.image.shape), dtype=np.uint8)
        for i, row in enumerate(rows):
            picture = face(dict(zip(NAMES, row.tolist(), strict=True)), self.image.resolution)
            images[i] = picture if self.image.channels == 3 else luminance(picture)
        return Samples(images, rows)


def face(p: dict[str, float], resolution: int) -> np.ndarray:
    """One face, uint8 [3, resolution, resolution].

    Args:
        p: one value for each name in RANGES.
        resolution: height and width, in pixels.
    """
    side = resolution * FINE
    background = hsv(p["background_hue"], 0.35, p["background_value"])
    canvas = Image.new("RGB", (side, side), background)
    pen = ImageDraw.Draw(canvas)
    x, y, w, h = (p[name] * side for name in ("head_x", "head_y", "head_width", "head_height"))
    skin, hair = skin_colour(p), hsv(p["hair_hue"], 0.65, p["hair_value"])
    neck_and_hair(pen, p, (x, y, w, h), skin, hair, side)
    oval(pen, x, y, w, h, skin)
    if p["beard"] > ON:
        pen.chord(box(x, y + 0.03 * h, 0.96 * w, 0.98 * h), 20, 160, fill=hair)
    fringe(pen, p, (x, y, w, h), hair)
    eyes(pen, p, (x, y, w, h), hair, side)
    nose_and_mouth(pen, p, (x, y, w, h), skin, side)
    turned = canvas.rotate(p["tilt"], Image.Resampling.BILINEAR, center=(x, y), fillcolor=background)
    return np.asarray(turned.reduce(FINE)).transpose(2, 0, 1)


Head = tuple[float, float, float, float]


def neck_and_hair(
    pen: ImageDraw.ImageDraw, p: dict[str, float], head: Head, skin: Colour, hair: Colour, side: int
) -> None:
    """Draw what is behind the head: hair down to its length, neck, shoulders."""
    x, y, w, h = head
    if p["hair_length"] > 0.08:
        oval(pen, x, y - 0.04 * h, 1.14 * w, 1.06 * h, hair)
        below = y - 0.1 * h + p["hair_length"] * 0.75 * h
        if p["hair_length"] > 0.3:
            pen.rectangle((x - 0.57 * w, y - 0.1 * h, x + 0.57 * w, below), fill=hair)
    pen.rectangle((x - 0.2 * w, y, x + 0.2 * w, side), fill=shade(skin, 0.8))
    pen.ellipse((x - 0.9 * w, y + 0.56 * h, x + 0.9 * w, y + 1.4 * h), fill=shade(hair, 0.6))


def fringe(pen: ImageDraw.ImageDraw, p: dict[str, float], head: Head, hair: Colour) -> None:
    """Draw the hair on the forehead."""
    x, y, w, h = head
    if p["hair_length"] > 0.08:
        angle = 25 + 40 * p["fringe"]
        pen.chord(box(x, y - 0.02 * h, 1.04 * w, 1.02 * h), 270 - angle, 270 + angle, fill=hair)


def eyes(pen: ImageDraw.ImageDraw, p: dict[str, float], head: Head, hair: Colour, side: int) -> None:
    """Draw eyes, brows and glasses."""
    x, y, w, h = head
    level, size = y + p["eye_height"] * h, p["eye_size"] * w * 1.6
    for sign in (-1, 1):
        middle = x + sign * p["eye_distance"] * w / 2
        oval(pen, middle, level, 1.7 * size, size, (240, 240, 240))
        oval(pen, middle, level, 0.8 * size, 0.9 * size, (45, 35, 30))
        brow = max(1, round(p["brow"] * h))
        pen.line(
            (middle - size, level - 1.2 * size, middle + size, level - 1.3 * size), fill=shade(hair, 0.7), width=brow
        )
        if p["glasses"] > ON:
            pen.ellipse(box(middle, level, 2.6 * size, 2.1 * size), outline=(20, 20, 20), width=max(1, side // 50))
    if p["glasses"] > ON:
        half = p["eye_distance"] * w / 2 - 1.2 * size
        pen.line((x - half, level, x + half, level), fill=(20, 20, 20), width=max(1, side // 60))


def nose_and_mouth(pen: ImageDraw.ImageDraw, p: dict[str, float], head: Head, skin: Colour, side: int) -> None:
    """Draw nose, lips and what is between them."""
    x, y, w, h = head
    oval(pen, x, y + 0.12 * h, p["nose"] * w, 0.16 * h, shade(skin, 0.85))
    level, half, bend = y + 0.29 * h, p["mouth_width"] * w / 2, p["smile"] * h
    lips = mixed(shade(skin, 0.75), (170, 40, 50), p["lip_red"])
    steps = np.linspace(-1, 1, 9)
    curve = [(x + t * half, level + bend * (1 - t * t) - bend / 2) for t in steps]
    under = [(px, py + p["mouth_open"] * h * (1 - t * t)) for (px, py), t in zip(curve, steps, strict=True)]
    pen.polygon([*curve, *reversed(under)], fill=(250, 245, 240))
    for line in (curve, under):
        pen.line(line, fill=lips, width=max(1, side // 32))


def oval(pen: ImageDraw.ImageDraw, x: float, y: float, width: float, height: float, fill: Colour) -> None:
    """Draw an ellipse, given its middle and size."""
    pen.ellipse(box(x, y, width, height), fill=fill)


def box(x: float, y: float, width: float, height: float) -> tuple[float, float, float, float]:
    """The corners of a box, given its middle and size."""
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def skin_colour(p: dict[str, float]) -> Colour:
    """A skin colour from dark brown to pale, more or less red."""
    tone = mixed((70, 45, 35), (245, 215, 190), p["skin"])
    return shade(mixed(tone, (225, 140, 120), 0.3 * p["skin_red"]), p["light"])


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """A colour from hue, saturation and value in [0, 1]."""
    channels = [(hue * 6 + offset) % 6 for offset in (5, 3, 1)]
    red, green, blue = (round(255 * value * (1 - saturation * max(0.0, min(c, 4 - c, 1.0)))) for c in channels)
    return red, green, blue


def shade(colour: Colour, factor: float) -> Colour:
    """A darker or lighter colour."""
    red, green, blue = (min(255, round(value * factor)) for value in colour)
    return red, green, blue


def mixed(one: Colour, other: Colour, share: float) -> Colour:
    """A colour between two."""
    red, green, blue = (round(a + share * (b - a)) for a, b in zip(one, other, strict=True))
    return red, green, blue


def luminance(picture: np.ndarray) -> np.ndarray:
    """Gray, uint8 [1, H, W], of a picture in colour (ITU-R BT.601)."""
    gray = np.tensordot(np.array([0.299, 0.587, 0.114]), picture.astype(np.float64), axes=1)
    return (gray + 0.5).astype(np.uint8)[None]
