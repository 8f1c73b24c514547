"""CIFAR-10 from the batches of its Python version."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torchvision import datasets

from configs.components.sources import Cifar10Config
from configs.errors import UserError
from configs.schema import Image
from datamodules.reading.resizing import to_shape
from datamodules.sets.image_set import ImageSet
from datamodules.sources.benchmark_files import BenchmarkFiles
from datamodules.sources.source import SOURCES

TRAIN, TEST = tuple(f"data_batch_{number}" for number in range(1, 6)), ("test_batch",)
BATCH_RECORDS = 10_000
FILES = BenchmarkFiles("CIFAR-10", "cifar-10-batches-py", tuple((name,) for name in TRAIN + TEST), datasets.CIFAR10)


@SOURCES.register(Cifar10Config)
class Cifar10:
    """CIFAR-10 photographs from the batches of its Python version in a given folder, 32x32, colour."""

    public_benchmark = True
    folders: tuple[Path, ...] = ()
    class_names = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

    def __init__(self, config: Cifar10Config, image: Image) -> None:
        self.image = image
        self.folder = FILES.folder(config.root, config.download)

    def size(self) -> int:
        """Number of training records, a constant."""
        return len(TRAIN) * BATCH_RECORDS

    def train(self, *, progress: bool = True) -> ImageSet:
        """The training images. UserError that names a damaged batch."""
        return self._read(TRAIN)

    def test(self, *, progress: bool = True) -> ImageSet:
        """The test images. UserError that names a damaged batch."""
        return self._read(TEST)

    def paths(self, *, test: bool) -> list[Path]:
        """The files of the batches."""
        return [self.folder / name for name in (TEST if test else TRAIN)]

    def _read(self, names: Sequence[str]) -> ImageSet:
        batches = [read_batch(self.folder / name, len(self.class_names)) for name in names]
        images, labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
        return ImageSet(to_shape(images, self.image), labels, self.class_names)


class BatchReader(datasets.CIFAR10):
    """Torchvision's reader for one batch. The batch is checked by its content, not by its hash."""

    base_folder = ""

    def __init__(self, path: Path) -> None:
        self.train_list = [[path.name, ""]]
        super().__init__(path.parent)

    def _check_integrity(self) -> bool:
        return True

    def _load_meta(self) -> None:
        """The names of the categories are constants."""


def read_batch(path: Path, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Read one batch.

    A batch is a pickle, which can run code when it is read: it should come from CIFAR-10's own page.

    Args:
        path: the file.
        classes: number of categories.

    Returns:
        Images uint8 [BATCH_RECORDS, 3, 32, 32] and labels int64 [BATCH_RECORDS].

    Raises:
        UserError: if the file is cut short, is not a batch, or has another number of records; names the file.
    """
    try:
        batch = BatchReader(path)
        images, labels = batch.data.transpose(0, 3, 1, 2), np.array(batch.targets)
    except Exception as error:  # damaged pickles raise nearly anything
        raise damaged(path, str(error) or type(error).__name__) from error
    if images.dtype != np.uint8 or labels.dtype.kind != "i" or {len(images), len(labels)} != {BATCH_RECORDS}:
        reason = f"it has {len(images)} images of {images.dtype} and {len(labels)} labels of {labels.dtype}"
        raise damaged(path, f"{reason}, not {BATCH_RECORDS} of each, images of uint8 and labels of whole numbers")
    if labels.min() < 0 or labels.max() >= classes:
        raise damaged(path, f"its labels are in {labels.min()}..{labels.max()}, not in 0..{classes - 1}")
    return np.ascontiguousarray(images), labels.astype(np.int64)


def damaged(path: Path, reason: str) -> UserError:
    """The error for a damaged file."""
    return UserError(f"root: '{path}' cannot be read as a batch of CIFAR-10: {reason}. Download that file again.")
