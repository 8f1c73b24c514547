"""Gray pictures with more than 8 bits, as pictures of 8 bits."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from PIL import Image as Pillow
from PIL.TiffImagePlugin import BITSPERSAMPLE, SAMPLEFORMAT

DEEP_MODES = ("I", "I;16", "I;16B", "I;16L", "I;16N")
SIGNED = 2  # of TIFF's SampleFormat
PNG_HEAD = b"\x89PNG\r\n\x1a\n"
WHITE = 255


def eight_bit(picture: Pillow.Image, path: Path, bits: int | None) -> Pillow.Image:
    """The highest 8 of the bits in use, as declared or as the file says; never judged by its own values.

    Args:
        picture: mode I or one of I;16.
        path: its file, whose header may say how many bits are in use.
        bits: how many bits are in use; None for what the file says.
    """
    used = bits or stated_bits(picture, path)
    values = np.asarray(picture).astype(np.int64)
    scaled = (values.clip(0, 2**used - 1) << 8) >> used
    transparent = picture.info.get("transparency")
    if isinstance(transparent, int):
        scaled[values == transparent] = WHITE
    return Pillow.fromarray(scaled.astype(np.uint8))


def stated_bits(picture: Pillow.Image, path: Path) -> int:
    """How many bits of its values a file says are in use: PNG's sBIT, or TIFF's samples without their sign; else 16."""
    if picture.format == "PNG":
        return significant_bits(path) or 16
    tags = getattr(picture, "tag_v2", {})
    samples = tags.get(BITSPERSAMPLE, (16,))[0]
    return int(samples) - (1 if tags.get(SAMPLEFORMAT, (1,))[0] == SIGNED else 0)


def significant_bits(path: Path) -> int | None:
    """What the sBIT chunk of a gray PNG says, 1 to 16; None without one. Pillow does not read it."""
    with open(path, "rb") as file:
        if file.read(8) != PNG_HEAD:
            return None
        while len(head := file.read(8)) == 8:
            length, kind = struct.unpack(">I4s", head)
            if kind == b"sBIT":
                bits = file.read(1)
                return bits[0] if bits and 1 <= bits[0] <= 16 else None
            if kind in (b"IDAT", b"IEND"):
                return None
            file.seek(length + 4, 1)
    return None
