"""Gray pictures with more than 8 bits."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from configs.schema import Image
from datamodules.reading.decoding import decode
from datamodules.reading.depth import significant_bits

SHAPE = Image(16, 1)
HALVES = np.repeat([[2048], [3900]], 8, axis=0).repeat(16, axis=1)  # of 12 bits


def png16(path: Path, values: np.ndarray, *chunks: tuple[bytes, bytes]) -> Path:
    """A 16-bit gray PNG with further chunks before its pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    parts = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 0, 0, 0, 0)), *chunks, (b"IDAT", zlib.compress(rows))]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in [*parts, (b"IEND", b"")]))
    return path


def tiff(path: Path, values: np.ndarray, sample_format: int) -> Path:
    """An uncompressed gray TIFF; sample_format 1: unsigned, 2: signed."""
    height, width = values.shape
    data = values.astype(values.dtype.newbyteorder("<")).tobytes()
    tags = [(256, 3, width), (257, 3, height), (258, 3, values.itemsize * 8), (259, 3, 1), (262, 3, 1), (273, 4, 8)]
    tags += [(277, 3, 1), (278, 3, height), (279, 4, len(data)), (339, 3, sample_format)]
    body = struct.pack("<H", len(tags)) + b"".join(
        struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags
    )
    path.write_bytes(b"II*\0" + struct.pack("<I", 8 + len(data)) + data + body + struct.pack("<I", 0))
    return path


def levels(image: np.ndarray) -> list[int]:
    """The gray levels of the upper and the lower half."""
    return [int(image[0, 2, 8]), int(image[0, -3, 8])]


def test_twelve_bits_are_read_as_the_file_or_the_owner_says(tmp_path: Path) -> None:
    stated = png16(tmp_path / "a.png", HALVES, (b"gAMA", struct.pack(">I", 45455)), (b"sBIT", bytes([12])))
    silent = png16(tmp_path / "b.png", HALVES)
    assert (significant_bits(stated), significant_bits(silent)) == (12, None)
    assert levels(decode(stated, SHAPE)) == levels(decode(silent, SHAPE, 12)) == [128, 243]
    assert levels(decode(silent, SHAPE)) == [
        8,
        15,
    ]  # never judged by its values: two images would be treated differently


@pytest.mark.parametrize("level", [0, 256, 10000, 65535])
def test_sixteen_bits(level: int, tmp_path: Path) -> None:
    assert levels(decode(png16(tmp_path / "a.png", np.full((16, 16), level)), SHAPE)) == [level >> 8] * 2


@pytest.mark.parametrize(("kind", "sample_format"), [(np.int32, 2), (np.int16, 2), (np.uint16, 1)])
def test_integers_of_tiff_fill_the_range_of_their_type(kind: type, sample_format: int, tmp_path: Path) -> None:
    most = np.iinfo(kind).max
    values = np.full((16, 16), most // 4 + 1, kind)
    values[8:] = most
    assert levels(decode(tiff(tmp_path / "a.tif", values, sample_format), SHAPE)) == [64, 255]
    if sample_format == 2:
        assert levels(decode(tiff(tmp_path / "b.tif", np.full((16, 16), -5, kind), 2), SHAPE)) == [0, 0]


def test_a_transparent_value_shows_white(tmp_path: Path) -> None:
    values = np.where(np.arange(16)[:, None] < 8, 0, 40 * 257).repeat(16, axis=1)[:, :16]
    path = png16(tmp_path / "a.png", values, (b"tRNS", struct.pack(">H", 0)))
    assert levels(decode(path, SHAPE)) == [255, 40]


def test_a_damaged_or_other_file_states_nothing(tmp_path: Path) -> None:
    whole = png16(tmp_path / "a.png", HALVES, (b"sBIT", bytes([12]))).read_bytes()
    for place, end in enumerate((0, 8, 20, 35, 40)):
        (tmp_path / f"{place}.png").write_bytes(whole[:end])
        assert significant_bits(tmp_path / f"{place}.png") is None
    Pillow.new("L", (3, 3)).save(tmp_path / "x.jpg")
    assert significant_bits(tmp_path / "x.jpg") is None
