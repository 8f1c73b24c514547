"""CelebA from its aligned faces and its lists of attributes and splits."""

from __future__ import annotations

from difflib import get_close_matches
from functools import cached_property
from pathlib import Path

import numpy as np
from torchvision import datasets

from configs.components.sources import CelebaConfig
from configs.errors import UserError
from configs.schema import Image
from datamodules.reading.decoded_files import decode_files
from datamodules.reading.files_error import FilesError
from datamodules.reading.listing import NAMED, named
from datamodules.sets.image_set import ImageSet
from datamodules.sources.benchmark_files import BenchmarkFiles
from datamodules.sources.celeba_lists import attribute_names, read_attributes, read_partition
from datamodules.sources.source import SOURCES, Semantics

FACES, ATTRIBUTES, PARTITION = "img_align_celeba", "list_attr_celeba.txt", "list_eval_partition.txt"
FILES = BenchmarkFiles("CelebA", "celeba", ((FACES,), (ATTRIBUTES,), (PARTITION,)), datasets.CelebA)


@SOURCES.register(CelebaConfig)
class CelebA:
    """CelebA faces in colour, in the training and test splits of its authors, with an attribute as category.

    Of each aligned face (178x218) the largest central square is kept and resized. PrivImage does the same with CelebA
    and with ImageNet, and every source here with its images. (Others crop to 140x140, which shows less hair and
    background.) Torchvision's reader needs lists that are not needed here, and reads one image at a time. So it is only
    used to download the files, not to read them.

    Raises:
        UserError: if files are missing, or CelebA has no such attribute.
    """

    public_benchmark = True

    def __init__(self, config: CelebaConfig, image: Image) -> None:
        folder = FILES.folder(config.root, config.download)
        self.image = image
        self.attribute = config.attribute
        self.faces, self._lists = folder / FACES, (folder / PARTITION, folder / ATTRIBUTES)
        self.folders = (self.faces,)
        self.attributes = attribute_names(self._lists[1])
        self.class_names = ("face",) if self.attribute is None else (f"not {self.attribute}", self.attribute)
        if self.attribute is not None and self.attribute not in self.attributes:
            near = get_close_matches(self.attribute, self.attributes, n=1)
            hint = f"Did you mean '{near[0]}'?" if near else f"It has {', '.join(self.attributes)}."
            raise UserError(
                f"attribute: CelebA has no '{self.attribute}'. {hint} With null, all faces are one category."
            )

    def size(self) -> int:
        """Number of training records, from the list of splits."""
        return len(self._splits["train"])

    def train(self, *, progress: bool = True) -> ImageSet:
        """The training faces. UserError that names a damaged list or faces that cannot be read."""
        return self._read("train", progress)

    def test(self, *, progress: bool = True) -> ImageSet:
        """The test faces. UserError that names a damaged list or faces that cannot be read."""
        return self._read("test", progress)

    def paths(self, *, test: bool) -> list[Path]:
        """The files of the faces. UserError if the list of splits is damaged."""
        return [self.faces / name for name in self._splits["test" if test else "train"]]

    def semantics(self) -> Semantics:
        """The 40 attributes and how many training faces have each. NOT PRIVATE: counted without noise."""
        return Semantics(self.attributes, self._present("train").sum(axis=0).astype(float))

    @cached_property
    def _splits(self) -> dict[str, list[str]]:
        return read_partition(self._lists[0])

    @cached_property
    def _attributes(self) -> dict[str, np.ndarray]:
        return read_attributes(self._lists[1])

    def _present(self, split: str) -> np.ndarray:
        """Which attributes the faces of a split have, bool [N, 40]."""
        missing = [name for name in self._splits[split] if name not in self._attributes]
        if missing:
            raise UserError(
                f"root: '{self._lists[1]}' has no line for {named(missing)}. Download both lists of CelebA again."
            )
        rows = [self._attributes[name] for name in self._splits[split]]
        return np.array(rows, dtype=bool).reshape(len(rows), len(self.attributes))

    def _read(self, split: str, progress: bool) -> ImageSet:
        names = self._splits[split]
        labels = np.zeros(len(names), np.int64)
        if self.attribute is not None:
            labels += self._present(split)[:, self.attributes.index(self.attribute)]
        paths = [self.faces / name for name in names]
        images, readable, _ = decode_files(
            paths, self.image, f"reading {split}", progress=progress, most_unreadable=NAMED
        )
        if not readable.all():
            bad = [name for name, fine in zip(names, readable, strict=True) if not fine]
            raise FilesError(f"root: faces that cannot be read in '{self.faces}'", bad, "Download them again.")
        return ImageSet(images, labels, self.class_names)
