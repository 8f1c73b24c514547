"""Glyphs rendered from the fonts inside matplotlib: the embedded public source."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from configs.components.sources import GlyphsConfig
from configs.schema import Image
from datamodules.glyphs.alphabet import ALPHABET
from datamodules.glyphs.renderer import glyph_ranges, random_parameters, render
from datamodules.progress import track
from datamodules.sets.image_set import ImageSet
from datamodules.sources.source import SOURCES

TRAIN, TEST = 0, 1


@SOURCES.register(GlyphsConfig)
class Glyphs:
    """Digits, Latin and Greek letters and symbols from matplotlib's fonts: one category each, at any resolution.

    Raises:
        UserError: if the smallest size is above the largest one.
    """

    public_benchmark = True
    folders: tuple[Path, ...] = ()
    class_names = tuple(ALPHABET)

    def __init__(self, config: GlyphsConfig, image: Image) -> None:
        self.config = config
        self.image = image
        self.ranges = glyph_ranges(config)

    def size(self) -> int:
        """Number of training images, known without rendering any."""
        return len(self.class_names) * self.config.images_per_category

    def train(self, *, progress: bool = True) -> ImageSet:
        """The training images, category by category."""
        return self._images(TRAIN, self.config.images_per_category, progress)

    def test(self, *, progress: bool = True) -> ImageSet:
        """The test images, drawn independently of the training images."""
        return self._images(TEST, self.config.test_images_per_category, progress)

    def paths(self, *, test: bool) -> tuple[Path, ...]:
        """No files."""
        return ()

    def _images(self, split: int, count: int, progress: bool) -> ImageSet:
        side = self.image.resolution
        images = np.empty((len(ALPHABET), count, 1, side, side), dtype=np.uint8)
        for category, character in enumerate(
            track(ALPHABET.values(), "rendering glyphs", total=len(ALPHABET), unit="category", show=progress)
        ):
            # one stream per category: an image depends only on (seed, split, category, index)
            rng = np.random.default_rng([self.config.seed, split, category])
            for index, glyph in enumerate(random_parameters(rng, character, count, self.ranges)):
                images[category, index, 0] = render(glyph, side)
        labels = np.repeat(np.arange(len(ALPHABET), dtype=np.int64), count)
        gray = images.reshape(-1, 1, side, side)
        return ImageSet(np.repeat(gray, self.image.channels, axis=1), labels, self.class_names)
