"""UCI handwritten digits, embedded in scikit-learn."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from configs.components.sources import DigitsConfig
from configs.schema import Image
from datamodules.reading.resizing import to_shape
from datamodules.sets.image_set import ImageSet
from datamodules.sources.source import SOURCES

RECORDS, TRAIN_RECORDS = 1797, 1437


@SOURCES.register(DigitsConfig)
class Digits:
    """UCI handwritten digits (inside scikit-learn): 1437 training and 360 test images, 8x8, grayscale."""

    public_benchmark = True
    folders: tuple[Path, ...] = ()
    class_names = tuple("0123456789")

    def __init__(self, config: DigitsConfig, image: Image) -> None:
        self.image = image

    def size(self) -> int:
        """Number of training records, a constant."""
        return TRAIN_RECORDS

    def train(self, *, progress: bool = True) -> ImageSet:
        """The training images."""
        return self._images(fixed_order()[:TRAIN_RECORDS])

    def test(self, *, progress: bool = True) -> ImageSet:
        """The test images."""
        return self._images(fixed_order()[TRAIN_RECORDS:])

    def paths(self, *, test: bool) -> tuple[Path, ...]:
        """No files."""
        return ()

    def _images(self, records: np.ndarray) -> ImageSet:
        digits = load_digits()
        images = np.round(digits.images[records] * (255 / 16)).astype(np.uint8)
        return ImageSet(to_shape(images, self.image), digits.target[records].astype(np.int64), self.class_names)


def fixed_order() -> np.ndarray:
    """A constant permutation of the records, int64 [1797], that depends on no library's generator and on no label."""
    return np.array(sorted(range(RECORDS), key=lambda record: hashlib.sha256(b"digits %d" % record).digest()))
