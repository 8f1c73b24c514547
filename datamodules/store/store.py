"""A store: a `.beton` of images at the training resolution, and the side file that says what it holds."""

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
    """What the side file `NAME.beton.json` says: it is written last, so a store without it is none.

    bytes: size of the store; counts: images of each category; categories: the folders' names, class_names: what they
    are called; skipped: files that could not be read; fingerprint: of the list of files and the images' shape;
    source: the folder of class folders; linked: the folders outside it to which links in it led.
    """

    count: int
    resolution: int
    channels: int
    bytes: int
    class_names: tuple[str, ...]
    categories: tuple[str, ...]
    counts: tuple[int, ...]
    source: str
    skipped: tuple[str, ...]
    fingerprint: str
    linked: tuple[str, ...] = ()
    format: int = FORMAT

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for the side file."""
        return dataclasses.asdict(self)

    @classmethod
    def read(cls, path: Path) -> StoreInfo:
        """The side file of a store. Raises UserError where it is missing, damaged, or of another format."""
        advice = (
            "It belongs beside the store and is written last: without it the store is not finished, or was moved "
            "alone. Bring it back, or give the `privimage prepare` command again."
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
            raise UserError(f"'{side_file(path)}' is no side file of a store ({error}). {advice}") from error


def side_file(path: Path) -> Path:
    """Where a store's side file is."""
    return path.with_name(path.name + ".json")


class Store:
    """The images of a store by row number, in the order of the paths of the files that they were made from.

    Opening reads the side file and the header. Raises UserError, about the key `store`, for a store that is missing,
    cut short, or of another shape than `image`.
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
                raise NotABeton("its header says something else than its side file")
        except NotABeton as error:
            raise UserError(
                f"store: '{path}' is damaged: {error}. Copy it again with its side file, or remove both and give the "
                "`privimage prepare` command again."
            ) from error

    @property
    def fingerprint(self) -> str:
        """Of the files it was made from and its shape; that of their folder where every file could be read."""
        return "".join([self.info.fingerprint, *(f", without {name}" for name in self.info.skipped)])

    @cached_property
    def labels(self) -> np.ndarray:
        """The category of each image, int64 [N]."""
        return self._beton.samples["label"].astype(np.int64)

    @cached_property
    def name_hashes(self) -> np.ndarray:
        """What decides about the split of each image, uint64 [N]."""
        return self._beton.samples["name_hash"].astype(np.int64).view(np.uint64)

    def read(self, rows: np.ndarray) -> np.ndarray:
        """The images at these rows (int64 [B]): uint8 [B, C, H, W]."""
        return self._beton.read(rows)

    def read_ahead(self, rows: Iterable[np.ndarray], reading: Reading) -> Iterator[Tensor]:
        """The same for one array of rows after the other, by FFCV or by a DataLoader."""
        if reading.reader == "ffcv" or (reading.reader == "auto" and ffcv_installed()):
            yield from self._ffcv.read_ahead(rows)
        else:
            yield from read_ahead(lambda here: torch.from_numpy(self.read(here)), rows, reading.workers)

    def files(self) -> ClassFolders | None:
        """The folder that it was made from as it is now, or None where it has no images any more, or is elsewhere."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of files that are no images: they were passed over
                folder = ClassFolders(Path(self.info.source), self.image, "store")
                return folder if len(folder.files) else None
        except (OSError, UserError):
            return None

    @cached_property
    def _ffcv(self) -> FfcvReading:
        return FfcvReading(self.path, self._beton.shape)
