"""The images of a folder with one sub-folder per category, listed once and decoded when they are needed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from configs.errors import UserError
from configs.schema import Image
from datamodules.reading.data_loading import read_ahead
from datamodules.reading.decoding import decode, silent_decoders
from datamodules.reading.files_error import FilesError
from datamodules.reading.listing import categories, image_files, name_hash, without_images
from datamodules.sets.image_set import Reading


class ClassFolders:
    """Image files of a folder with one sub-folder per category, numbered in the order of their paths.

    Listing opens no file. A file is decoded again each time it is read.

    Args:
        root: the folder.
        image: the shape that images are brought to.
        key_name: the key or option of the folder, for messages.
        public: whether warnings may give file names.

    Raises:
        UserError: if the folder has no sub-folder.
    """

    def __init__(self, root: Path, image: Image, key_name: str, *, public: bool = False) -> None:
        self.root = root
        self.image = image
        self.key_name = key_name
        self.public = public
        self.categories = categories(root, key_name)

    @cached_property
    def files(self) -> np.ndarray:
        """Paths below the root, as bytes [N]: an array of Python strings would be copied into every worker."""
        return np.array([os.fsencode(name) for name in image_files(self.root, self.key_name, public=self.public)])

    @cached_property
    def labels(self) -> np.ndarray:
        """The number of each file's category, int64 [N]."""
        numbers = {os.fsencode(name): number for number, name in enumerate(self.categories)}
        return np.array([numbers[bytes(file).split(b"/", 1)[0]] for file in self.files], dtype=np.int64)

    @cached_property
    def name_hashes(self) -> np.ndarray:
        """The number that decides which split a file belongs to, uint64 [N]."""
        return np.array([name_hash(name) for name in self.names(range(len(self.files)))], dtype=np.uint64)

    @cached_property
    def fingerprint(self) -> str:
        """A hash of the paths and sizes of all files, and of the shape that images are brought to."""
        digest = hashlib.sha256(repr(self.image.shape).encode())
        for file in self.files:
            digest.update(b"\n%s %d" % (file, os.stat(os.path.join(os.fsencode(self.root), file)).st_size))
        return digest.hexdigest()

    @cached_property
    def linked(self) -> tuple[str, ...]:
        """Folders outside the root that contain targets of links inside it, sorted; empty without such links."""
        root = os.path.realpath(os.fsencode(self.root))
        real = cache(os.path.realpath)
        found = set()
        for file in self.files:
            path = os.path.join(root, file)
            folder = os.path.dirname(os.path.realpath(path) if os.path.islink(path) else path)
            found.add(real(folder))
        return tuple(sorted(os.fsdecode(folder) for folder in found if os.path.commonpath([root, folder]) != root))

    @property
    def empty_categories(self) -> list[str]:
        """The categories without any image file."""
        return without_images(self.categories, map(os.fsdecode, map(bytes, self.files)))

    def names(self, numbers: Iterable[int]) -> list[str]:
        """Paths below the root of the files with these numbers."""
        return [os.fsdecode(bytes(self.files[number])) for number in numbers]

    def paths(self, rows: np.ndarray) -> Iterator[Path]:
        """The files at these rows, one at a time."""
        return (self.root / os.fsdecode(bytes(self.files[row])) for row in rows)

    def decoded(self, rows: np.ndarray) -> tuple[Tensor, Tensor]:
        """The images at these rows (int64 [B]): uint8 [B, C, H, W], and whether each could be read, bool [B]."""
        images = np.zeros((len(rows), *self.image.shape), np.uint8)
        readable = np.ones(len(rows), dtype=bool)
        with silent_decoders():
            for place, name in enumerate(self.names(rows)):
                try:
                    images[place] = decode(self.root / name, self.image)
                except OSError:
                    readable[place] = False
        return torch.from_numpy(images), torch.from_numpy(readable)

    def read(self, rows: np.ndarray) -> np.ndarray:
        """The images at these rows (int64 [B]): uint8 [B, C, H, W]. FilesError for files that cannot be read."""
        return self._tensor(rows).numpy()

    def read_ahead(self, rows: Iterable[np.ndarray], reading: Reading) -> Iterator[Tensor]:
        """The same for one array of rows after another, decoded ahead by `reading.workers` processes.

        Raises:
            FilesError: for files that cannot be read.
            UserError: if `reading` asks for FFCV, which reads only stores.
        """
        if reading.reader == "ffcv":
            raise UserError(
                "launch.reader: FFCV reads stores, not folders. Give public.store (`privimage prepare` makes one), or "
                "launch.reader=plain."
            )
        yield from read_ahead(self._tensor, rows, reading.workers)

    def _tensor(self, rows: np.ndarray) -> Tensor:
        images, readable = self.decoded(rows)
        if not readable.all():
            raise FilesError(
                f"{self.key_name}: files that cannot be read as images",
                self.names(rows[~readable.numpy()]),
                "Fix or remove them, or make a store without them: `privimage prepare imagenet --corrupt skip`.",
            )
        return images
