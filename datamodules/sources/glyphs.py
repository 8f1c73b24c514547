"""Glyphs rendered from the fonts inside matplotlib: the embedded public source."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from configs.errors import UserError
from configs.fields import key
from configs.schema import Image
from datamodules.glyph_alphabet import ALPHABET
from datamodules.glyph_renderer import GlyphRanges, random_parameters, render
from datamodules.image_set import ImageSet
from datamodules.progress import track
from datamodules.sources.source import SOURCES

TRAIN, TEST = 0, 1


@dataclass
class Config:
    name: str = key("glyphs", "characters rendered from the fonts inside matplotlib")
    images_per_category: int = key(400, "training images of each character", at_least=1)
    test_images_per_category: int = key(50, "test images of each character", at_least=1)
    seed: int = key(0, "seed of the random glyphs", at_least=0)
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


@SOURCES.register(Config)
class Glyphs:
    """Digits, Latin, Greek and symbols rendered from matplotlib's fonts: a category for each, at any resolution."""

    public_benchmark = True
    folders: tuple[Path, ...] = ()
    class_names = tuple(ALPHABET)

    def __init__(self, config: Config, image: Image) -> None:
        if config.fill_smallest > config.fill_largest:
            raise UserError(
                f"fill_smallest ({config.fill_smallest:g}) is above fill_largest ({config.fill_largest:g}). "
                "Give a smaller or a larger one."
            )
        self.config = config
        self.image = image

    def size(self) -> int:
        """Number of training images, known without rendering any."""
        return len(self.class_names) * self.config.images_per_category

    def train(self, *, progress: bool = True) -> ImageSet:
        """The training images, category by category."""
        return self._images(TRAIN, self.config.images_per_category, progress)

    def test(self, *, progress: bool = True) -> ImageSet:
        """The test images, drawn apart from the training images."""
        return self._images(TEST, self.config.test_images_per_category, progress)

    def _images(self, split: int, count: int, progress: bool) -> ImageSet:
        side = self.image.resolution
        images = np.empty((len(ALPHABET), count, 1, side, side), dtype=np.uint8)
        for category, character in enumerate(
            track(ALPHABET.values(), "rendering glyphs", total=len(ALPHABET), unit="category", show=progress)
        ):
            # a stream of its own for each category: an image hangs on (seed, split, category, index) alone
            rng = np.random.default_rng([self.config.seed, split, category])
            for index, glyph in enumerate(random_parameters(rng, character, count, self._ranges())):
                images[category, index, 0] = render(glyph, side)
        labels = np.repeat(np.arange(len(ALPHABET), dtype=np.int64), count)
        gray = images.reshape(-1, 1, side, side)
        return ImageSet(np.repeat(gray, self.image.channels, axis=1), labels, self.class_names)

    def _ranges(self) -> GlyphRanges:
        config = self.config
        return GlyphRanges(
            smallest=config.fill_smallest,
            largest=config.fill_largest,
            rotation=config.rotation,
            shear=config.shear,
            stretch=config.stretch,
            stroke=config.stroke,
            blur=config.blur,
            shift=config.shift,
            bend=config.bend,
        )
