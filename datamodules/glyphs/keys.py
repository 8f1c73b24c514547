"""The configuration keys of random glyphs, for whatever draws them: the public source, the simulator."""

from __future__ import annotations

from dataclasses import dataclass

from configs.errors import UserError
from configs.fields import key
from datamodules.glyphs.renderer import GlyphRanges


@dataclass
class GlyphKeys:
    name: str = key("glyphs", "characters rendered from the fonts inside matplotlib")
    fill_smallest: float = key(0.75, "least longer side of a glyph, over the frame", above=0.1, at_most=1.5)
    fill_largest: float = key(1.05, "greatest longer side of a glyph, over the frame", above=0.1, at_most=1.5)
    rotation: float = key(30.0, "greatest rotation either way, degrees", at_least=0, at_most=180)
    shear: float = key(0.5, "greatest lean either way, width over height", at_least=0, at_most=2)
    stretch: float = key(1.5, "greatest widening or narrowing, a factor", at_least=1, at_most=4)
    stroke: int = key(2, "greatest thickening of each side of a stem, 1/64 em", at_least=0, at_most=8)
    blur: float = key(0.5, "greatest std of the Gaussian blur, pixels", at_least=0, at_most=4)
    shift: float = key(0.1, "greatest shift either way, over the frame", at_least=0, at_most=0.5)
    bend: float = key(
        0.0, "elastic deformation: std of the moves of 4x4 points, over the frame", at_least=0, at_most=0.2
    )


def glyph_ranges(keys: GlyphKeys) -> GlyphRanges:
    """How far random parameters reach. Raises UserError that begins with the key, where no size is left."""
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
