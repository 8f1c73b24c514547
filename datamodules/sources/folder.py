"""Any folder with one sub-folder of images per category."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import numpy as np

from configs.components.sources import FolderConfig
from configs.errors import UserError
from configs.schema import Image
from datamodules.reading.decoded_files import decode_files
from datamodules.reading.files_error import FilesError
from datamodules.reading.layouts import misread
from datamodules.reading.listing import (
    NAMED,
    categories,
    existing,
    falls_to_testing,
    image_files,
    named,
    without_images,
)
from datamodules.sets.image_set import ImageSet
from datamodules.sources.source import SOURCES


@SOURCES.register(FolderConfig)
class Folder:
    """Your own images: one sub-folder per category, gray or colour, of any size.

    Raises:
        UserError: if a folder is missing or holds splits instead of categories, or `test_root` has a category that
            `root` does not have.
    """

    def __init__(self, config: FolderConfig, image: Image) -> None:
        self.config = config
        self.image = image
        self.public_benchmark = config.public_benchmark
        self.root = existing(config.root, "root")
        if problem := misread(self.root):
            raise UserError(f"root: {problem}")
        self.folders = (self.root,)
        self.class_names = categories(self.root, "root")
        self.test_root = existing(config.test_root, "test_root") if config.test_root else None
        if self.test_root is not None:
            unknown = sorted(set(categories(self.test_root, "test_root")) - set(self.class_names))
            if unknown:
                raise UserError(
                    f"test_root: '{self.test_root}' has categories that root does not have: {named(unknown)}. "
                    "Give its sub-folders the same names as those of root."
                )

    def size(self) -> int:
        """Number of training records: `count`, or the number of files if it is not set; opens no image."""
        return len(self._train_files) if self.config.count is None else self.config.count

    def train(self, *, progress: bool = True) -> ImageSet:
        """The training images; may be empty. FilesError for files that cannot be read, unless they are skipped."""
        return self._load(self.root, self._train_files, "root", progress)

    def test(self, *, progress: bool = True) -> ImageSet:
        """The test images, at least one.

        Raises:
            FilesError: for files that cannot be read, unless they are skipped.
            UserError: if there is no image.
        """
        root, key_name = (self.root, "test_fraction") if self.test_root is None else (self.test_root, "test_root")
        images = self._load(root, self._test_files, key_name, progress)
        if not len(images):
            raise UserError(
                f"{key_name}: no image is left for this split. Give more images, or another test_fraction or test_root."
            )
        return images

    def paths(self, *, test: bool) -> Iterator[Path]:
        """The image files. UserError if a folder has no sub-folder any more."""
        root = self.test_root if test and self.test_root is not None else self.root
        return (root / file for file in (self._test_files if test else self._train_files))

    def empty_categories(self) -> list[str]:
        """The categories without any image in either split."""
        return without_images(self.class_names, [*self._train_files, *self._test_files])

    @cached_property
    def _files(self) -> list[str]:
        return image_files(self.root, "root", public=self.public_benchmark)

    @cached_property
    def _train_files(self) -> list[str]:
        return self._files if self.test_root is not None else self._split(testing=False)

    @cached_property
    def _test_files(self) -> list[str]:
        if self.test_root is None:
            return self._split(testing=True)
        return image_files(self.test_root, "test_root", public=self.public_benchmark)

    def _split(self, testing: bool) -> list[str]:
        return [file for file in self._files if falls_to_testing(file, self.config.test_fraction) == testing]

    def _load(self, root: Path, files: list[str], key_name: str, progress: bool) -> ImageSet:
        images, readable = decode_files(
            [root / file for file in files],
            self.image,
            f"reading {root.name}",
            progress=progress,
            most_unreadable=NAMED if self.config.corrupt == "refuse" else None,
        )
        self._check(files, readable, key_name)
        labels = np.array([self.class_names.index(file.split("/", 1)[0]) for file in files], dtype=np.int64)
        return ImageSet(images if readable.all() else images[readable], labels[readable], self.class_names)

    def _check(self, files: list[str], readable: np.ndarray, key_name: str) -> None:
        """Raise FilesError for unreadable files, or warn about them if they are skipped."""
        unreadable = [file for file, fine in zip(files, readable, strict=True) if not fine]
        if unreadable and self.config.corrupt == "refuse":
            raise FilesError(
                f"{key_name}: files that cannot be read as images",
                unreadable,
                "Fix or remove them, or leave them out with .corrupt=skip. If the run has started, give it another "
                "run.name then.",
            )
        if unreadable:
            # no number: the console must not show how many records are missing
            warnings.warn(
                f"{key_name}: unreadable files were skipped (corrupt=refuse lists some of them)", stacklevel=3
            )
