"""The configuration keys of random glyphs, which the public source and the simulator share."""

from __future__ import annotations

from dataclasses import dataclass

from configs.errors import UserError
from configs.fields import key
from datamodules.glyphs.renderer import GlyphRanges


@dataclass
class GlyphKeys:
    name: str = key("glyphs", "characters rendered from the fonts inside matplotlib")
    fill_smallest: float = key(
        0.75, "smallest longer side of a glyph, as a fraction of the frame", above=0.1, at_most=1.5
    )
    fill_largest: float = key(
        1.05, "largest longer side of a glyph, as a fraction of the frame", above=0.1, at_most=1.5
    )
    rotation: float = key(30.0, "largest rotation in either direction, degrees", at_least=0, at_most=180)
    shear: float = key(0.5, "largest slant in either direction, width over height", at_least=0, at_most=2)
    stretch: float = key(1.5, "largest factor by which a glyph is widened or narrowed", at_least=1, at_most=4)
    stroke: int = key(2, "largest thickening of each side of a stem, 1/64 em", at_least=0, at_most=8)
    blur: float = key(0.5, "largest std of the Gaussian blur, pixels", at_least=0, at_most=4)
    shift: float = key(0.1, "largest shift in either direction, as a fraction of the frame", at_least=0, at_most=0.5)
    bend: float = key(
        0.0,
        "elastic deformation: std of the shifts of 4x4 points, as a fraction of the frame",
        at_least=0,
        at_most=0.2,
    )


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
