"""The glyph renderer as a simulator: fonts, sizes, rotations, strokes and bends are its parameters."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence

import numpy as np

from configs.components.apis import GlyphsApiConfig
from datamodules.glyphs.alphabet import ALPHABET, fonts_of
from datamodules.glyphs.renderer import KNOTS, GlyphParameters, glyph_ranges, random_parameters, render
from evolution.api import APIS, Surroundings
from evolution.apis.reflection import reflected
from evolution.samples import Samples

CHARACTERS = tuple(ALPHABET.values())
PLAIN = [field.name for field in dataclasses.fields(GlyphParameters) if field.name not in ("character", "bend")]
COLUMNS = 1 + len(PLAIN) + 2 * KNOTS**2  # the character's index, the plain parameters, the bend
FONT, STROKE = 1 + PLAIN.index("font"), 1 + PLAIN.index("stroke")
NUMBERS = [1 + i for i, name in enumerate(PLAIN) if name not in ("font", "stroke")]
IS_STRETCH = np.array([PLAIN[i - 1] == "stretch" for i in NUMBERS])


@APIS.register(GlyphsApiConfig)
class GlyphSimulator:
    """Rendered characters: those that the query found most similar, or the one with the category's name, or any."""

    needs_parameters = True

    def __init__(self, config: GlyphsApiConfig, surroundings: Surroundings) -> None:
        self.config = config
        self.image = surroundings.image
        self.alike = surroundings.alike
        self.ranges = glyph_ranges(config)

    def random(self, category: str, count: int, rng: np.random.Generator) -> Samples:
        """Samples with parameters at random in their ranges, the characters of the category in turn."""
        characters = self.characters(category)
        shares = np.bincount(np.arange(count) % len(characters), minlength=len(characters))
        return self.samples(
            [
                glyph
                for character, share in zip(characters, shares, strict=True)
                for glyph in random_parameters(rng, character, int(share), self.ranges)
            ]
        )

    def vary(self, samples: Samples, degree: float, rng: np.random.Generator) -> Samples:
        """Every number moved by a normal of std `degree` thirds of its range and reflected; sometimes another font.

        A bend keeps a part of itself and gets a new part, so that it stays as strong as those of `random`.
        """
        rows = samples.parameters.copy()
        low, high = self.limits()
        numbers = np.log(rows[:, NUMBERS], where=IS_STRETCH, out=rows[:, NUMBERS].copy())
        numbers = reflected(numbers + rng.normal(0, degree / 3, numbers.shape) * (high - low), low, high)
        rows[:, NUMBERS] = np.exp(numbers, where=IS_STRETCH, out=numbers)
        bends = rows[:, 1 + len(PLAIN) :]
        bends *= np.sqrt(1 - degree**2)
        bends += degree * rng.normal(0, self.ranges.bend, bends.shape)
        self.vary_whole(rows, degree, rng)
        return self.samples([self.glyph(row) for row in rows])

    def vary_whole(self, rows: np.ndarray, degree: float, rng: np.random.Generator) -> None:
        """Change, in place, some fonts to others that have the character, and some strokes by one step of thickness."""
        changed = rng.random(len(rows)) < degree * self.config.another_font
        rows[changed, FONT] = [rng.choice(fonts_of(CHARACTERS[int(character)])) for character in rows[changed, 0]]
        step = rng.integers(-1, 2, len(rows)) * (rng.random(len(rows)) < degree)
        rows[:, STROKE] = np.clip(rows[:, STROKE] + step, 0, self.ranges.stroke)

    def limits(self) -> tuple[np.ndarray, np.ndarray]:
        """The ends of the ranges of NUMBERS; for the stretch, the ends for its logarithm."""
        r = self.ranges
        high = np.array([r.largest, r.rotation, r.shear, np.log(r.stretch), r.blur, r.shift, r.shift])
        low = np.array([r.smallest, -r.rotation, -r.shear, -np.log(r.stretch), 0.0, -r.shift, -r.shift])
        return low, high

    def characters(self, category: str) -> tuple[str, ...]:
        """The characters that candidates of a category are drawn from."""
        alike = self.alike.get(category, ())
        names = [name for name in alike if name in ALPHABET]
        if alike and not names:
            warnings.warn(
                f"evolution.api: glyphs: no public category found similar is a character ({', '.join(alike)}), so "
                f"candidates for '{category}' are any characters",
                stacklevel=2,
            )
        return tuple(ALPHABET[name] for name in names) or CHARACTERS

    def samples(self, glyphs: Sequence[GlyphParameters]) -> Samples:
        """The glyphs, drawn."""
        images = [render(glyph, self.image.resolution) for glyph in glyphs]
        side = self.image.resolution
        gray = np.stack(images)[:, None] if images else np.zeros((0, 1, side, side), dtype=np.uint8)
        return Samples(np.repeat(gray, self.image.channels, axis=1), self.rows(glyphs))

    @staticmethod
    def rows(glyphs: Sequence[GlyphParameters]) -> np.ndarray:
        """Parameters as numbers, float64 [N, COLUMNS]."""
        rows = np.zeros((len(glyphs), COLUMNS))
        for row, glyph in zip(rows, glyphs, strict=True):
            row[0] = CHARACTERS.index(glyph.character)
            row[1 : 1 + len(PLAIN)] = [getattr(glyph, name) for name in PLAIN]
            row[1 + len(PLAIN) :] = glyph.bend
        return rows

    @staticmethod
    def glyph(row: np.ndarray) -> GlyphParameters:
        """A glyph from its numbers."""
        values = dict(zip(PLAIN, row[1 : 1 + len(PLAIN)].tolist(), strict=True))
        character = CHARACTERS[int(row[0])]
        font = int(values.pop("font"))
        return GlyphParameters(
            character=character,
            font=font,
            stroke=int(values.pop("stroke")),
            bend=tuple(row[1 + len(PLAIN) :].tolist()),
            **values,
        )
