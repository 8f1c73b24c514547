"""MNIST from its four idx files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from configs.errors import UserError
from configs.fields import key
from configs.schema import Image
from datamodules.idx import find_idx, read_idx, read_shape
from datamodules.image_set import ImageSet
from datamodules.resizing import to_shape
from datamodules.sources.source import SOURCES


@dataclass
class Config:
    name: str = key("mnist", "handwritten digits, 28x28, 60000 for training and 10000 for testing")
    root: str = key("data/mnist", "folder that holds the four idx files, plain or .gz")


@SOURCES.register(Config)
class Mnist:
    """MNIST handwritten digits from idx files in a given folder, 28x28, grayscale."""

    public_benchmark = True
    folders: tuple[Path, ...] = ()
    class_names = tuple("0123456789")

    def __init__(self, config: Config, image: Image) -> None:
        root = Path(config.root)
        if not root.is_dir():
            raise UserError(
                f"root: no folder at '{root}'. Give the folder that holds the four idx files of MNIST, or use "
                "name=digits to try the embedded data."
            )
        self.image = image
        self._train = find_idx(root, "train-images", 3), find_idx(root, "train-labels", 1)
        self._test = find_idx(root, "t10k-images", 3), find_idx(root, "t10k-labels", 1)

    def size(self) -> int:
        """Number of training records, from the header of the labels' file."""
        return read_shape(self._train[1])[0]

    def train(self, *, progress: bool = True) -> ImageSet:
        """The training images. UserError naming the file if one is damaged or the two disagree."""
        return self._read(*self._train)

    def test(self, *, progress: bool = True) -> ImageSet:
        """The test images. UserError naming the file if one is damaged or the two disagree."""
        return self._read(*self._test)

    def _read(self, images_path: Path, labels_path: Path) -> ImageSet:
        images, labels = read_idx(images_path), read_idx(labels_path)
        if images.ndim != 3 or labels.shape != images.shape[:1]:
            raise UserError(
                f"root: '{images_path}' {images.shape} and '{labels_path}' {labels.shape} do not belong together. "
                "Fetch both files again."
            )
        if labels.size and labels.max() >= len(self.class_names):
            raise UserError(f"root: '{labels_path}' has labels above {len(self.class_names) - 1}: it is not of MNIST.")
        return ImageSet(to_shape(images, self.image), labels.astype(np.int64), self.class_names)
