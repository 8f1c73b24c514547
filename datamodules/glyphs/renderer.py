"""Rendered glyphs: their parameters, how these are drawn at random, and the rendering itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from scipy.ndimage import map_coordinates

from configs.components.sources import GlyphKeys
from configs.errors import UserError
from datamodules.glyphs.alphabet import FONTS, font_path, fonts_of

EM = 64  # font size in pixels at which every glyph is first drawn; the rest is geometry
KNOTS = 4  # a bend is defined at KNOTS x KNOTS points of the frame
INK = 64  # gray value from which a pixel counts as ink when the glyph's box is measured


@dataclass(frozen=True)
class GlyphParameters:
    """Everything that determines the image of one glyph."""

    character: str
    """One character."""
    font: int
    """Index into FONTS."""
    size: float
    """Longer side of the ink's box, as a fraction of the frame's side."""
    rotation: float
    """Degrees, anticlockwise."""
    shear: float
    """Horizontal shift per unit of height."""
    stretch: float
    """Factor of the width."""
    stroke: int
    """Pixels added to each side of every stem, at font size EM."""
    blur: float
    """Standard deviation of a Gaussian, in pixels of the final image."""
    shift_x: float
    """Shift of the box's centre to the right, as a fraction of the frame's side."""
    shift_y: float
    """Shift of the box's centre downwards, as a fraction of the frame's side."""
    bend: tuple[float, ...] = ()
    """Elastic deformation: 2 KNOTS^2 numbers, or empty for no deformation.

    How far the ink is moved at KNOTS x KNOTS points of the frame, row by row: first all shifts to the right, then all
    shifts downwards, as fractions of the frame's side.
    """


@dataclass(frozen=True, kw_only=True)
class GlyphRanges:
    """The ranges of random parameters, in the units of GlyphParameters. All are uniform but `stretch` and `bend`."""

    smallest: float
    """Smallest size."""
    largest: float
    """Largest size."""
    rotation: float
    """From -rotation to rotation."""
    shear: float
    """From -shear to shear."""
    stretch: float
    """Log-uniform from 1/stretch to stretch."""
    stroke: int
    """Integers from 0 to stroke."""
    blur: float
    """From 0 to blur."""
    shift: float
    """From -shift to shift, for each direction."""
    bend: float = 0.0
    """Standard deviation of a normal distribution."""


def random_parameters(
    rng: np.random.Generator, character: str, count: int, ranges: GlyphRanges
) -> list[GlyphParameters]:
    """Parameters of random glyphs of one character.

    Args:
        rng: source of all randomness; with the same state the first glyphs do not depend on `count`.
        character: one character of the alphabet.
        count: number of glyphs.
        ranges: the ranges of the parameters.
    """
    bends = _random_bends(rng.spawn(1)[0], count, ranges.bend)
    u = rng.random((count, 9))
    signed = 2 * u - 1
    fonts = np.array(fonts_of(character))
    columns = (
        fonts[(u[:, 0] * len(fonts)).astype(int)],
        ranges.smallest + u[:, 1] * (ranges.largest - ranges.smallest),
        ranges.rotation * signed[:, 2],
        ranges.shear * signed[:, 3],
        ranges.stretch ** signed[:, 4],
        (u[:, 5] * (ranges.stroke + 1)).astype(int),
        ranges.blur * u[:, 6],
        ranges.shift * signed[:, 7],
        ranges.shift * signed[:, 8],
    )
    rows = zip(*(column.tolist() for column in columns), bends, strict=True)
    return [GlyphParameters(character, *row) for row in rows]


def _random_bends(rng: np.random.Generator, count: int, std: float) -> list[tuple[float, ...]]:
    if std == 0:
        return [()] * count
    return [tuple(row) for row in rng.normal(0, std, (count, 2 * KNOTS**2)).tolist()]


def render(glyph: GlyphParameters, resolution: int) -> np.ndarray:
    """Render a glyph in white on black: uint8 [resolution, resolution].

    One affine map, a bend, a blur and an area average, on a canvas 4 times as fine (2 times above 16 pixels). Gray
    values are then scaled, at most by 2, so that the brightest pixel is 255.
    """
    factor = 4 if resolution <= 16 else 2
    side = resolution * factor
    ink, outline = _ink(glyph.character, glyph.font, glyph.stroke)
    canvas = ink.transform(
        (side, side), Image.Transform.AFFINE, _affine(glyph, outline, side), Image.Resampling.BILINEAR
    )
    if glyph.bend:
        canvas = _bent(canvas, glyph.bend)
    if glyph.blur > 0:
        canvas = canvas.filter(ImageFilter.GaussianBlur(glyph.blur * factor))
    small = np.asarray(canvas.reduce(factor))
    peak = int(small.max())
    gain = min(2.0, 255 / peak) if peak else 1.0
    return np.minimum(small * gain + 0.5, 255).astype(np.uint8)


def _affine(glyph: GlyphParameters, outline: np.ndarray, side: int) -> Sequence[float]:
    """The six coefficients that map a point of the canvas to a point of the ink (Pillow's convention).

    The forward map: stretch, shear, rotate, then scale so that the box of the rotated ink has the wanted size.

    Args:
        glyph: the parameters.
        outline: points [2, points] (x, y) on the border of the ink.
        side: of the canvas, pixels.
    """
    cos, sin = math.cos(math.radians(glyph.rotation)), math.sin(math.radians(glyph.rotation))
    # the image's y axis points down: this is anticlockwise on screen, and a positive shear leans to the right
    forwards = np.array([[cos, sin], [-sin, cos]]) @ np.array([[glyph.stretch, -glyph.shear], [0.0, 1.0]])
    turned = forwards @ outline
    low, high = turned.min(axis=1), turned.max(axis=1)
    scale = glyph.size * side / max(high - low)
    (a, b), (d, e) = np.linalg.inv(forwards * scale).tolist()
    x = (0.5 + glyph.shift_x) * side - scale * float(low[0] + high[0]) / 2
    y = (0.5 + glyph.shift_y) * side - scale * float(low[1] + high[1]) / 2
    return a, b, -(a * x + b * y), d, e, -(d * x + e * y)


def _bent(canvas: Image.Image, bend: tuple[float, ...]) -> Image.Image:
    """The canvas with every point moved as the bend says, interpolated smoothly between its KNOTS x KNOTS points."""
    side = canvas.width
    weights = _between_knots(side)
    right, down = (weights @ field @ weights.T * side for field in np.reshape(bend, (2, KNOTS, KNOTS)))
    rows, columns = np.mgrid[:side, :side]
    ink = np.asarray(canvas, dtype=np.float32)
    moved = map_coordinates(ink, [rows - down, columns - right], order=1, prefilter=False)
    return Image.fromarray((moved + 0.5).astype(np.uint8))


@cache
def _between_knots(side: int) -> np.ndarray:
    """Weights of KNOTS evenly spaced points for each point of a line, [side, KNOTS]; each row sums to 1."""
    points, knots = (np.arange(side) + 0.5) / side, (np.arange(KNOTS) + 0.5) / KNOTS
    weights = np.exp(-0.5 * ((points[:, None] - knots) * KNOTS / 0.8) ** 2)
    return weights / weights.sum(axis=1, keepdims=True)


@cache
def _ink(character: str, font: int, stroke: int) -> tuple[Image.Image, np.ndarray]:
    """A character at font size EM with a margin of one pixel, and the corners of its outermost pixels.

    Returns:
        The image, and float64 [2, points] (x, y).

    Raises:
        ValueError: if the font draws nothing for the character.
    """
    image = Image.new("L", (3 * EM, 3 * EM))
    ImageDraw.Draw(image).text((EM, EM // 2), character, fill=255, font=_font(font), stroke_width=stroke)
    box = image.getbbox()
    if box is None:
        raise ValueError(f"{FONTS[font]} draws nothing for {character!r}")
    left, upper, right, lower = box
    image = image.crop((left - 1, upper - 1, right + 1, lower + 1))
    inked = np.asarray(image) >= INK
    rows = np.flatnonzero(inked.any(axis=1))
    first = inked[rows].argmax(axis=1)
    last = inked.shape[1] - inked[rows, ::-1].argmax(axis=1)
    x = np.concatenate([first, last, first, last])
    y = np.concatenate([rows, rows, rows + 1, rows + 1])
    return image, np.stack([x, y]).astype(float)


@cache
def _font(font: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(font_path(FONTS[font]), EM, layout_engine=ImageFont.Layout.BASIC)


def glyph_ranges(keys: GlyphKeys) -> GlyphRanges:
    """The ranges of random parameters.

    Raises:
        UserError: if the smallest size is above the largest one; the message begins with the key.
    """
    if keys.fill_smallest > keys.fill_largest:
        raise UserError(
            f"fill_smallest ({keys.fill_smallest:g}) is above fill_largest ({keys.fill_largest:g}). "
            "Give a smaller or a larger one."
        )
    return GlyphRanges(
        smallest=keys.fill_smallest,
        largest=keys.fill_largest,
        rotation=keys.rotation,
        shear=keys.shear,
        stretch=keys.stretch,
        stroke=keys.stroke,
        blur=keys.blur,
        shift=keys.shift,
        bend=keys.bend,
    )
