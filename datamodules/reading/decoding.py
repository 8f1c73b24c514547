"""One image file as pixels of the run's shape, whatever its mode, depth and size."""

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

PAPER = (255, 255, 255)  # what shows through transparent pixels
DEEP_MODES = ("I", "I;16", "I;16B", "I;16L", "I;16N")


def decode(path: Path, image: Image) -> np.ndarray:
    """The file's first frame, uint8 [C, resolution, resolution].

    Turned as its EXIF tag says, cropped to its central square, resized by antialiased bilinear interpolation; all of it
    fixed, none of it fitted to the pixels. 16-bit values keep their high byte; transparent pixels show white paper.
    Raises OSError for a file that cannot be decoded.
    """
    side = image.resolution
    try:
        with Pillow.open(path) as file:
            # a JPEG decoder can halve a large photograph on the way; at least twice the final size stays
            file.draft(file.mode, (2 * side, 2 * side))
            picture = ImageOps.exif_transpose(file)
            picture = _eight_bit(picture).convert("L" if image.channels == 1 else "RGB")
        pixels = np.asarray(ImageOps.fit(picture, (side, side), Pillow.Resampling.BILINEAR))
    except Exception as error:  # decoders raise nearly anything on damaged bytes
        raise OSError(f"{path}: {error}") from error
    return pixels[None] if image.channels == 1 else pixels.transpose(2, 0, 1)


@contextmanager
def silent_decoders() -> Iterator[None]:
    """Keep back what Pillow says of single files (their size, damaged tags): it may be about sensitive ones.

    For the whole process: to be entered by its main thread, around all threads that decode.
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
    """The picture in a mode of 8 bits a channel without transparency."""
    if picture.mode == "F":
        raise OSError("its pixels are floating-point numbers, whose range is not known")
    if picture.mode in DEEP_MODES:
        values = np.asarray(picture).astype(np.int64).clip(0, 65535)
        return Pillow.fromarray((values >> 8).astype(np.uint8))
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        return Pillow.alpha_composite(Pillow.new("RGBA", picture.size, (*PAPER, 255)), picture)
    return picture
