"""Images in one .npz file, as MedMNIST has them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from configs.components.sources import NpzConfig
from configs.errors import UserError
from configs.schema import Image
from datamodules.reading.label_table import declared
from datamodules.reading.npz_arrays import array_shape, read_array
from datamodules.reading.resizing import to_shape
from datamodules.sets.image_set import ImageSet
from datamodules.sources.source import SOURCES

SPLITS = ("train", "test")


@SOURCES.register(NpzConfig)
class Npz:
    """Images in one .npz file with a training and a test split: uint8 [N, H, W] or [N, H, W, 3], labels [N] or [N, 1].

    A split for validation is left out.

    Raises:
        UserError: if the file is missing, cannot be read or lacks an array, or the categories are not given.
    """

    folders: tuple[Path, ...] = ()

    def __init__(self, config: NpzConfig, image: Image) -> None:
        self.config = config
        self.image = image
        self.public_benchmark = config.public_benchmark
        self.file = Path(config.file)
        self.class_names = declared(config.classes)
        self._shapes = {split: array_shape(self.file, f"{split}_images") for split in SPLITS}

    def size(self) -> int:
        """Number of training records: `count`, or what the header of the array says."""
        return self._shapes["train"][0] if self.config.count is None else self.config.count

    def train(self, *, progress: bool = True) -> ImageSet:
        """The training images. UserError for arrays that do not belong together."""
        return self._read("train")

    def test(self, *, progress: bool = True) -> ImageSet:
        """The test images. UserError for arrays that do not belong together, or if there is no image."""
        if not self._shapes["test"][0]:
            raise UserError(f"file: '{self.file}' has no test image.")
        return self._read("test")

    def paths(self, *, test: bool) -> list[Path]:
        """The file."""
        return [self.file]

    def _read(self, split: str) -> ImageSet:
        images, labels = (read_array(self.file, f"{split}_{kind}") for kind in ("images", "labels"))
        colour = images.ndim == 4 and images.shape[3] == 3
        if images.dtype != np.uint8 or not (images.ndim == 3 or colour):
            raise UserError(
                f"file: '{self.file}': {split}_images is {images.dtype} {images.shape}; allowed is uint8 [N, H, W] or "
                "[N, H, W, 3]."
            )
        if labels.size != len(images) or not np.issubdtype(labels.dtype, np.integer):
            raise UserError(
                f"file: '{self.file}': {split}_labels is {labels.dtype} {labels.shape}; allowed is one whole number "
                "per image. Sets with several labels per image are not supported."
            )
        labels = labels.reshape(-1).astype(np.int64)
        if labels.size and not 0 <= labels.min() <= labels.max() < len(self.class_names):
            raise UserError(
                f"classes: {len(self.class_names)} are declared, but '{self.file}' has other labels than 0 to "
                f"{len(self.class_names) - 1}. Name every one."
            )
        planes = images.transpose(0, 3, 1, 2) if colour else images
        return ImageSet(to_shape(np.ascontiguousarray(planes), self.image), labels, self.class_names)
