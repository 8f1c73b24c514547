"""Decode one image file to the shape of the run, for any mode, depth and size."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image as Pillow
from PIL import ImageOps, PngImagePlugin

from configs.schema import Image
from datamodules.reading.depth import DEEP_MODES, eight_bit

PAPER = (255, 255, 255)  # the background of transparent pixels
LARGEST = 2**29  # pixels; a slide scan has 10^8 to 10^9
TEXT = 64 * 2**20  # bytes of text next to a PNG's pixels
ORIENTATION = 0x0112  # EXIF
TURNS = {
    2: Pillow.Transpose.FLIP_LEFT_RIGHT,
    3: Pillow.Transpose.ROTATE_180,
    4: Pillow.Transpose.FLIP_TOP_BOTTOM,
    5: Pillow.Transpose.TRANSPOSE,
    6: Pillow.Transpose.ROTATE_270,
    7: Pillow.Transpose.TRANSVERSE,
    8: Pillow.Transpose.ROTATE_90,
}

PngImagePlugin.MAX_TEXT_CHUNK = TEXT
Pillow.MAX_IMAGE_PIXELS = LARGEST // 2  # Pillow refuses twice as many


def decode(path: Path, image: Image, bits: int | None = None) -> np.ndarray:
    """The first frame of the file.

    It is turned as its EXIF tag says, cropped to its central square and resized by antialiased bilinear interpolation.
    These steps are fixed; nothing is fitted to the pixels. Deep values are scaled by the depth that the file states.
    Transparent pixels are shown on white.

    Args:
        path: the file.
        image: resolution and number of channels of the result.
        bits: how many bits of deeper gray images are in use; None for what each file says.

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
            file.load()  # a TIFF is turned here
            picture = eight_bit(file, path, bits) if file.mode in DEEP_MODES else _opaque(file)
            picture = _upright(picture, file).convert("L" if image.channels == 1 else "RGB")
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


def _opaque(picture: Pillow.Image) -> Pillow.Image:
    """The picture on white, if it has transparency."""
    if picture.mode == "F":
        raise OSError("its pixels are floating-point numbers of unknown range; save it with 8 or 16 bits")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        return Pillow.alpha_composite(Pillow.new("RGBA", picture.size, (*PAPER, 255)), picture)
    return picture


def _upright(picture: Pillow.Image, file: Pillow.Image) -> Pillow.Image:
    """The picture turned as the file's EXIF tag says; as it is if the tag is damaged, which viewers do as well."""
    try:
        turn = TURNS.get(file.getexif().get(ORIENTATION, 1))
    except Exception:  # nearly anything on damaged bytes
        turn = None
    return picture if turn is None else picture.transpose(turn)
