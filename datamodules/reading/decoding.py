"""Decode one image file to the shape of the run, for any mode, depth and size."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image as Pillow
from PIL import ImageOps

from configs.schema import Image

PAPER = (255, 255, 255)  # the background of transparent pixels
DEEP_MODES = ("I", "I;16", "I;16B", "I;16L", "I;16N")


def decode(path: Path, image: Image) -> np.ndarray:
    """The first frame of the file.

    It is turned as its EXIF tag says, cropped to its central square and resized by antialiased bilinear interpolation.
    These steps are fixed; nothing is fitted to the pixels. 16-bit values keep their high byte. Transparent pixels are
    shown on white.

    Args:
        path: the file.
        image: resolution and number of channels of the result.

    Returns:
        Uint8 [C, resolution, resolution].

    Raises:
        OSError: if the file cannot be decoded.

    Sensitive: may read a sensitive image, which the result then is; the message of an error contains its path.
    """
    side = image.resolution
    try:
        with Pillow.open(path) as file:
            # a JPEG decoder can halve a large photograph while it decodes; at least twice the final size remains
            file.draft(file.mode, (2 * side, 2 * side))
            picture = ImageOps.exif_transpose(file)
            picture = _eight_bit(picture).convert("L" if image.channels == 1 else "RGB")
        pixels = np.asarray(ImageOps.fit(picture, (side, side), Pillow.Resampling.BILINEAR))
    except Exception as error:  # decoders raise nearly anything on damaged bytes
        raise OSError(f"{path}: {error}") from error
    return pixels[None] if image.channels == 1 else pixels.transpose(2, 0, 1)


@contextmanager
def silent_decoders() -> Iterator[None]:
    """Suppress Pillow's warnings about single files (size, damaged tags), because the files may be sensitive.

    It acts on the whole process: enter it in the main thread, around all threads that decode.
    """
    logger = logging.getLogger("PIL")
    level = logger.level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logger.setLevel(logging.CRITICAL + 1)
        try:
            yield
        finally:
            logger.setLevel(level)


def _eight_bit(picture: Pillow.Image) -> Pillow.Image:
    """The picture in a mode with 8 bits per channel and without transparency."""
    if picture.mode == "F":
        raise OSError("its pixels are floating-point numbers of unknown range")
    if picture.mode in DEEP_MODES:
        values = np.asarray(picture).astype(np.int64).clip(0, 65535)
        return Pillow.fromarray((values >> 8).astype(np.uint8))
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        return Pillow.alpha_composite(Pillow.new("RGBA", picture.size, (*PAPER, 255)), picture)
    return picture
