"""Any folder with one sub-folder of images per category."""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from configs.components.sources import FolderConfig
from configs.errors import UserError
from configs.schema import Image
from datamodules.reading.labelled_files import LabelledFiles, read_files
from datamodules.reading.layouts import misread
from datamodules.reading.listing import (
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
        self.class_names = named_categories(self.root, "root")
        self.test_root = existing(config.test_root, "test_root") if config.test_root else None
        if self.test_root is not None:
            unknown = sorted(set(named_categories(self.test_root, "test_root")) - set(self.class_names))
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
        return without_images(self.class_names, map(composed, [*self._train_files, *self._test_files]))

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

    def _load(self, root: Path, names: list[str], key_name: str, progress: bool) -> ImageSet:
        index = {name: place for place, name in enumerate(self.class_names)}
        files = LabelledFiles(root, names, [index[composed(name.split("/", 1)[0])] for name in names])
        skip, bits = self.config.corrupt == "skip", self.config.bits
        return read_files(files, self.class_names, self.image, key_name, skip=skip, progress=progress, bits=bits)


def named_categories(root: Path, key_name: str) -> tuple[str, ...]:
    """Names of the categories in composed Unicode, whichever way a file system writes them.

    Raises:
        UserError: if two sub-folders have the same name then, or as `categories`.
    """
    names = sorted(map(composed, categories(root, key_name)))
    twice = next((name for name, after in itertools.pairwise(names) if name == after), None)
    if twice is not None:
        raise UserError(
            f"{key_name}: '{root}' has two sub-folders that are both called '{twice}': one in composed and one in "
            "decomposed letters. Rename or merge them."
        )
    return tuple(names)


def composed(name: str) -> str:
    """A name in composed letters: a Mac writes é as e and an accent."""
    return unicodedata.normalize("NFC", name)
