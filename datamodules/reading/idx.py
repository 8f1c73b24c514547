"""The idx files of MNIST and its relatives, plain or gzipped."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np

from configs.errors import UserError

UNSIGNED_BYTES = 0x08
DAMAGE = (OSError, EOFError, zlib.error, struct.error)


def idx_names(stem: str, dimensions: int) -> list[str]:
    """The names that an idx file may have, the usual one first."""
    return [f"{stem}{dot}idx{dimensions}-ubyte{end}" for dot in "-." for end in ("", ".gz")]


def find_idx(root: Path, stem: str, dimensions: int) -> Path:
    """The idx file in a folder: `stem-idx3-ubyte` or `stem.idx3-ubyte`, with or without .gz.

    Args:
        root: the folder.
        stem: beginning of the file's name.
        dimensions: number after `idx` in the file's name.

    Raises:
        UserError: if there is no such file; names the key `root`, the folder and the file.
    """
    names = idx_names(stem, dimensions)
    for name in names:
        if (root / name).is_file():
            return root / name
    raise UserError(
        f"root: no file '{names[0]}' (or '{names[1]}') in '{root}'. Give the folder that holds the four idx files."
    )


def read_shape(path: Path) -> tuple[int, ...]:
    """The dimensions that the header declares; reads only the header. UserError if it is not an idx header."""
    try:
        with _open(path) as file:
            return _shape(file)
    except DAMAGE as error:
        raise _damaged(path, error) from error


def read_idx(path: Path) -> np.ndarray:
    """The whole array, uint8, in the shape that the header declares.

    Raises:
        UserError: if the file is not an idx file, is cut short or has bytes left over; names the file.
    """
    try:
        with _open(path) as file:
            shape = _shape(file)
            data = file.read()
    except DAMAGE as error:
        raise _damaged(path, error) from error
    if len(data) != math.prod(shape):
        raise _damaged(path, f"its header declares {math.prod(shape)} bytes of data, it has {len(data)}")
    return np.frombuffer(data, dtype=np.uint8).reshape(shape)


def _open(path: Path) -> BinaryIO:
    return gzip.open(path, "rb") if path.suffix == ".gz" else open(path, "rb")  # type: ignore[return-value]


def _shape(file: BinaryIO) -> tuple[int, ...]:
    zeros, kind, dimensions = struct.unpack(">HBB", file.read(4))
    if zeros != 0 or kind != UNSIGNED_BYTES:
        raise OSError("it does not begin with the header of an idx file of unsigned bytes")
    return struct.unpack(f">{dimensions}I", file.read(4 * dimensions))


def _damaged(path: Path, reason: object) -> UserError:
    return UserError(f"root: '{path}' cannot be read: {reason}. Download that file again.")
