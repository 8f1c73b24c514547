"""A store: a `.beton` of images at the training resolution, and a side file that says what is in it."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from configs.errors import UserError
from configs.files import read_json
from configs.schema import Image
from datamodules.reading.class_folders import ClassFolders
from datamodules.reading.data_loading import read_ahead
from datamodules.sets.image_set import Reading
from datamodules.store.beton import Beton, NotABeton
from datamodules.store.ffcv_reading import FfcvReading, ffcv_installed

FORMAT = 1  # of the side file


@dataclass(frozen=True, kw_only=True)
class StoreInfo:
    """The contents of the side file `NAME.beton.json`. It is written last: without it a store is not finished."""

    count: int
    """Images in the store."""
    resolution: int
    """Height and width of an image, pixels."""
    channels: int
    """1 or 3."""
    bytes: int
    """Size of the store."""
    class_names: tuple[str, ...]
    """What each category is called."""
    categories: tuple[str, ...]
    """The folder's name for each category."""
    counts: tuple[int, ...]
    """Images of each category."""
    source: str
    """The folder with the class folders."""
    skipped: tuple[str, ...]
    """Files that could not be read: paths below `source`."""
    fingerprint: str
    """Hash of the list of files and of the images' shape."""
    linked: tuple[str, ...] = ()
    """Folders outside `source` that contain targets of links inside it."""
    format: int = FORMAT
    """Version of the side file."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for the side file."""
        return dataclasses.asdict(self)

    @classmethod
    def read(cls, path: Path) -> StoreInfo:
        """The side file of a store. UserError if it is missing, damaged, or of another format."""
        advice = (
            "It belongs next to the store and is written last, so a store without it is not finished, or was moved "
            "without it. Restore it, or repeat the `privimage prepare` command."
        )
        values = read_json(side_file(path), advice)
        try:
            if values["format"] != FORMAT:
                raise ValueError(f"format {values['format']}, not {FORMAT}")
            given: dict[str, Any] = {
                name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
            }
            return cls(**given)
        except (TypeError, KeyError, ValueError) as error:
            raise UserError(f"'{side_file(path)}' is not the side file of a store ({error}). {advice}") from error


def side_file(path: Path) -> Path:
    """The path of a store's side file."""
    return path.with_name(path.name + ".json")


class Store:
    """The images of a store by row number, in the order of the paths of the files that they were made from.

    Opening reads the side file and the header.

    Args:
        path: the `.beton` file.
        image: the shape that its images must have.

    Raises:
        UserError: about the key `store`, if the store is missing, damaged, cut short, or has images of another shape.
    """

    def __init__(self, path: Path, image: Image) -> None:
        self.path = path
        self.image = image
        if not path.is_file():
            raise UserError(
                f"store: no file at '{path}'. Make it with `privimage prepare imagenet --source DIR --resolution "
                f"{image.resolution} --output {path}` (see docs/public-data.md), or read the folder itself: root=DIR."
            )
        try:
            self.info = StoreInfo.read(path)
        except UserError as error:
            raise UserError(f"store: {error}") from error
        info = self.info
        if (info.channels, info.resolution, info.resolution) != image.shape:
            raise UserError(
                f"store: '{path}' holds images of {info.resolution}x{info.resolution} in {info.channels} channel(s), "
                f"the run has image.resolution={image.resolution} and image.channels={image.channels}. Change these "
                f"keys, or make a store with --resolution {image.resolution} --channels {image.channels}."
            )
        try:
            if path.stat().st_size != info.bytes:
                raise NotABeton(f"it has {path.stat().st_size} bytes, its side file says {info.bytes}")
            self._beton = Beton(path)
            if (self._beton.shape, len(self._beton)) != (image.shape, info.count):
                raise NotABeton("its header and its side file disagree")
        except NotABeton as error:
            raise UserError(
                f"store: '{path}' is damaged: {error}. Copy it again with its side file, or remove both and repeat "
                "the `privimage prepare` command."
            ) from error

    @property
    def fingerprint(self) -> str:
        """Of the files it was made from and of its shape; equal to that of their folder if every file could be read."""
        return "".join([self.info.fingerprint, *(f", without {name}" for name in self.info.skipped)])

    @cached_property
    def labels(self) -> np.ndarray:
        """The category of each image, int64 [N]."""
        return self._beton.samples["label"].astype(np.int64)

    @cached_property
    def name_hashes(self) -> np.ndarray:
        """The number that decides which split an image belongs to, uint64 [N]."""
        return self._beton.samples["name_hash"].astype(np.int64).view(np.uint64)

    def read(self, rows: np.ndarray) -> np.ndarray:
        """The images at these rows (int64 [B]): uint8 [B, C, H, W]."""
        return self._beton.read(rows)

    def read_ahead(self, rows: Iterable[np.ndarray], reading: Reading) -> Iterator[Tensor]:
        """The same for one array of rows after another, by FFCV or by a DataLoader."""
        if reading.reader == "ffcv" or (reading.reader == "auto" and ffcv_installed()):
            yield from self._ffcv.read_ahead(rows)
        else:
            yield from read_ahead(lambda here: torch.from_numpy(self.read(here)), rows, reading.workers)

    def files(self) -> ClassFolders | None:
        """The folder that it was made from, as it is now; None if it has moved or has no images any more."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about files that are not images: they were ignored
                folder = ClassFolders(Path(self.info.source), self.image, "store")
                return folder if len(folder.files) else None
        except (OSError, UserError):
            return None

    @cached_property
    def _ffcv(self) -> FfcvReading:
        return FfcvReading(self.path, self._beton.shape)
