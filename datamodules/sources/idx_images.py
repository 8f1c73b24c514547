"""Images and labels in the format of MNIST: four idx files in one folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from configs.errors import UserError
from configs.schema import Image
from datamodules.reading.idx import find_idx, idx_names, read_idx, read_shape
from datamodules.reading.resizing import to_shape
from datamodules.sets.image_set import ImageSet
from datamodules.sources.benchmark_files import BenchmarkFiles


def idx_files(title: str, below: str, fetch: Callable[..., Any]) -> BenchmarkFiles:
    """The four idx files of a benchmark, each plain or gzipped; the arguments are those of `BenchmarkFiles`."""
    names = [
        idx_names(f"{split}-{kind}", dimensions)
        for split in ("train", "t10k")
        for kind, dimensions in (("images", 3), ("labels", 1))
    ]
    return BenchmarkFiles(title, below, tuple(map(tuple, names)), fetch)


class IdxImages:
    """What MNIST and data sets in its format share: a source without `files` and `class_names`.

    Raises:
        UserError: if a file is missing.
    """

    files: ClassVar[BenchmarkFiles]
    class_names: tuple[str, ...]
    public_benchmark = True
    folders: tuple[Path, ...] = ()

    def __init__(self, root: str, download: bool, image: Image) -> None:
        folder = self.files.folder(root, download)
        self.image = image
        self._train = find_idx(folder, "train-images", 3), find_idx(folder, "train-labels", 1)
        self._test = find_idx(folder, "t10k-images", 3), find_idx(folder, "t10k-labels", 1)

    def size(self) -> int:
        """Number of training records, from the header of the labels' file."""
        return read_shape(self._train[1])[0]

    def train(self, *, progress: bool = True) -> ImageSet:
        """The training images. UserError that names a damaged file, or two files that do not match."""
        return self._read(*self._train)

    def test(self, *, progress: bool = True) -> ImageSet:
        """The test images. UserError that names a damaged file, or two files that do not match."""
        return self._read(*self._test)

    def paths(self, *, test: bool) -> list[Path]:
        """The file with the images."""
        return [(self._test if test else self._train)[0]]

    def _read(self, images_path: Path, labels_path: Path) -> ImageSet:
        images, labels = read_idx(images_path), read_idx(labels_path)
        if images.ndim != 3 or labels.shape != images.shape[:1]:
            raise UserError(
                f"root: '{images_path}' {images.shape} and '{labels_path}' {labels.shape} do not belong together. "
                "Download both files again."
            )
        if labels.size and labels.max() >= len(self.class_names):
            raise UserError(
                f"root: '{labels_path}' has labels above {len(self.class_names) - 1}: it is not {self.files.title}."
            )
        return ImageSet(to_shape(images, self.image), labels.astype(np.int64), self.class_names)
