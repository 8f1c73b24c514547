"""FFCV's file format (`.beton`, version 2) for images of one shape, written and read without FFCV.

A file has five parts: a header, a description of each field, a table with one row per sample, pages of pixels, and a
table of the place of each image. The fields are those of `FIELDS`. The pixels are FFCV's NDArrayField, uint8 [C, H, W]
as training takes them, because FFCV's RGBImageField has no gray images. The other two are IntFields, whose values are
in the samples' table itself.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

VERSION = 2
HEADER = np.dtype(
    [("version", "<u2"), ("fields", "<u2"), ("page_size", "<u4"), ("samples", "<u8"), ("allocations", "<u8")]
)
FIELD = np.dtype([("type", "<u1"), ("name", "<u1", 16), ("arguments", "<u1", 1024)])
ALLOCATION = np.dtype([("sample", "<u8"), ("place", "<u8"), ("size", "<u8")])
SAMPLE = np.dtype([("place", "<u8"), ("label", "<i8"), ("name_hash", "<i8")])  # place: of its pixels in the file
ARRAY = np.dtype([("shape", "<u8", 32), ("type_length", "<u8")])  # arguments of an NDArrayField, then its type as JSON
INTEGER_TYPE, ARRAY_TYPE = 1, 4
FIELDS = {"image": ARRAY_TYPE, "label": INTEGER_TYPE, "name_hash": INTEGER_TYPE}
PAGE = 2**21  # bytes of a page, the smallest that FFCV allows, so that small stores stay small
TABLE = HEADER.itemsize + len(FIELDS) * FIELD.itemsize  # where the samples' table begins


class NotABeton(Exception):
    """The file has another format or other fields, or is cut short."""


@dataclass(frozen=True)
class Layout:
    """The byte layout of a file: what is at which offset."""

    shape: tuple[int, int, int]
    """(C, H, W) of every image."""
    capacity: int
    """Images that the samples' table has room for."""

    @property
    def image_bytes(self) -> int:
        """Bytes of an image."""
        return math.prod(self.shape)

    @property
    def page(self) -> int:
        """Bytes of a page, a power of 2."""
        return max(PAGE, 2 ** math.ceil(math.log2(self.image_bytes)))

    @property
    def first_page(self) -> int:
        """Offset of the first page in bytes, a multiple of the page's size."""
        return -(-(TABLE + self.capacity * SAMPLE.itemsize) // self.page) * self.page

    @property
    def images_a_page(self) -> int:
        """Images in a full page; an image never crosses the end of one."""
        return self.page // self.image_bytes

    def places(self, numbers: np.ndarray) -> np.ndarray:
        """Offsets in bytes of the pixels of the images with these numbers: uint64 [N]."""
        pages, within = np.divmod(np.asarray(numbers, np.uint64), np.uint64(self.images_a_page))
        return np.uint64(self.first_page) + pages * np.uint64(self.page) + within * np.uint64(self.image_bytes)

    def allocations(self, count: int) -> int:
        """Offset in bytes of the last table of a file with `count` images: the end of its last page."""
        return self.first_page + -(-count // self.images_a_page) * self.page

    def size(self, count: int) -> int:
        """Bytes of a whole file with `count` images."""
        return self.allocations(count) + count * ALLOCATION.itemsize

    def head(self, labels: np.ndarray, name_hashes: np.ndarray) -> bytes:
        """Everything before the pages: header, fields and the samples' table.

        Args:
            labels: int64 [N].
            name_hashes: int64 [N].
        """
        header, fields = np.zeros(1, HEADER), np.zeros(len(FIELDS), FIELD)
        header[0] = (VERSION, len(FIELDS), self.page, len(labels), self.allocations(len(labels)))
        for field, (name, kind) in zip(fields, FIELDS.items(), strict=True):
            field["type"] = kind
            field["name"][: len(name)] = np.frombuffer(name.encode(), np.uint8)
        arguments = array_arguments(self.shape)
        fields[0]["arguments"][: len(arguments)] = np.frombuffer(arguments, np.uint8)
        samples = np.zeros(len(labels), SAMPLE)
        samples["place"] = self.places(np.arange(len(labels)))
        samples["label"], samples["name_hash"] = labels, name_hashes
        return header.tobytes() + fields.tobytes() + samples.tobytes()

    def tail(self, count: int) -> bytes:
        """What follows the pages of a file with `count` images: the table of the place of each image."""
        table = np.zeros(count, ALLOCATION)
        table["sample"], table["size"] = np.arange(count), self.image_bytes
        table["place"] = self.places(np.arange(count))
        return table.tobytes()


def array_arguments(shape: tuple[int, ...]) -> bytes:
    """The arguments of a field for uint8 arrays of a shape, as FFCV writes them."""
    array = np.zeros(1, ARRAY)
    array["shape"][0][: len(shape)] = shape
    kind = json.dumps(np.dtype(np.uint8).descr).encode()
    array["type_length"] = len(kind)
    return array.tobytes() + kind


class Beton:
    """A file of images of one shape (C, H, W), read by row number.

    Raises:
        NotABeton: if the file has another format or is cut short.
        OSError: if there is no such file, or it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._header = _table(path, HEADER, 0, 1)[0]
        if self._header["version"] != VERSION or self._header["fields"] != len(FIELDS):
            raise NotABeton("its beginning is not that of a store of images")
        fields = _table(path, FIELD, HEADER.itemsize, len(FIELDS))
        names = [field["name"].tobytes().rstrip(b"\0").decode(errors="replace") for field in fields]
        if list(zip(names, fields["type"].tolist(), strict=True)) != list(FIELDS.items()):
            raise NotABeton(f"its fields are {', '.join(names)}; those of a store are {', '.join(FIELDS)}")
        shape = fields[0]["arguments"][: ARRAY.itemsize].view(ARRAY)[0]["shape"]
        self.shape: tuple[int, ...] = tuple(int(side) for side in shape if side)
        if len(self.shape) != 3 or not fields[0]["arguments"].tobytes().startswith(array_arguments(self.shape)):
            raise NotABeton("its images are not bytes of shape [C, H, W]")

    def __len__(self) -> int:
        return int(self._header["samples"])

    @cached_property
    def samples(self) -> np.ndarray:
        """The samples' table, [N] of SAMPLE."""
        return _table(self.path, SAMPLE, TABLE, len(self))

    def read(self, rows: np.ndarray) -> np.ndarray:
        """The images at these rows (int64 [B]): uint8 [B, C, H, W], a copy."""
        return self._windows[self.samples["place"][rows]].reshape(len(rows), *self.shape)

    @cached_property
    def _windows(self) -> np.ndarray:
        """The mapped file as a view: for each offset the bytes of one image, [offsets, bytes].

        Choosing rows of it copies whole images.
        """
        data, size = np.memmap(self.path, np.uint8, "r"), math.prod(self.shape)
        return np.lib.stride_tricks.sliding_window_view(data, size)


def _table(path: Path, kind: np.dtype, offset: int, count: int) -> np.ndarray:
    table = np.fromfile(path, kind, count, offset=offset)
    if len(table) != count:
        raise NotABeton("it is cut short")
    return table
