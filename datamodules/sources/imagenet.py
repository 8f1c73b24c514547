"""ImageNet, or any large folder of classes, from a store or from the folder itself."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import numpy as np

from configs.components.sources import ImageNetConfig
from configs.errors import UserError
from configs.schema import Image
from datamodules.reading.class_folders import ClassFolders
from datamodules.sets.indexed_set import IndexedSet
from datamodules.sources.source import SOURCES
from datamodules.store.imagenet_layout import class_names, imagenet
from datamodules.store.store import Store


@SOURCES.register(ImageNetConfig)
class ImageNet:
    """ImageNet from an FFCV store (`privimage prepare imagenet`) or from its folder; stays on disk, read by index.

    Raises:
        UserError: if not exactly one of `store` and `root` is given, or it is missing or damaged.
    """

    def __init__(self, config: ImageNetConfig, image: Image) -> None:
        if bool(config.store) == bool(config.root):
            both = "both store and root are given" if config.store else "neither store nor root is given"
            raise UserError(
                f"store: {both}. Give .store=FILE.beton, which `privimage prepare imagenet` makes, or .root=DIR "
                "for the folder itself (see docs/public-data.md)."
            )
        self.config = config
        self.public_benchmark = config.public_benchmark
        self.reader: Store | ClassFolders
        if config.store:
            self.reader = Store(Path(config.store), image)
            self.class_names = self.reader.info.class_names
            self.folders = tuple(map(Path, (self.reader.info.source, *self.reader.info.linked)))
        else:
            if not Path(config.root).is_dir():
                raise UserError(f"root: no folder at '{config.root}'. Give the folder of ImageNet, or use store.")
            root, names = imagenet(Path(config.root))
            self.reader = ClassFolders(root, image, "root", public=config.public_benchmark)
            self.class_names = class_names(self.reader.categories, names)
            self.folders = (root,)

    def size(self) -> int:
        """Number of training records; opens no image."""
        return int(np.count_nonzero(~self._testing))

    def train(self, *, progress: bool = True) -> IndexedSet:
        """The training images, on disk."""
        return self._images(~self._testing)

    def test(self, *, progress: bool = True) -> IndexedSet:
        """The test images, on disk."""
        return self._images(self._testing)

    def paths(self, *, test: bool) -> Iterator[Path]:
        """The image files; for a store: the store, then its image files if their folder still exists."""
        files: ClassFolders | None
        if isinstance(self.reader, Store):
            yield self.reader.path
            files = self.reader.files()
        else:
            files = self.reader
        if files is None:
            return
        yield from files.paths(np.flatnonzero(self._kept_for_testing(files) == test))

    def empty_categories(self) -> list[str]:
        """The categories without any image in either split."""
        return [] if isinstance(self.reader, Store) else self.reader.empty_categories

    @cached_property
    def _testing(self) -> np.ndarray:
        """Whether each image is for testing, bool [N]; depends only on the name of its file."""
        return self._kept_for_testing(self.reader)

    def _kept_for_testing(self, reader: Store | ClassFolders) -> np.ndarray:
        return reader.name_hashes < np.uint64(self.config.test_fraction * 2**64)

    def _images(self, chosen: np.ndarray) -> IndexedSet:
        rows = np.flatnonzero(chosen)
        if not len(rows):
            raise UserError("test_fraction: no image is left for this split. Give more images, or another share.")
        return IndexedSet(self.reader, rows, self.reader.labels[rows], self.class_names)
