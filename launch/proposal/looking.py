"""The size of the images: given, or that of one image which the owner allows to be looked at."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PIL import Image as Pillow

from configs.errors import UserError
from datamodules.reading.decoding import silent_decoders
from datamodules.reading.layouts import Layout
from datamodules.reading.npz_arrays import array_shape
from datamodules.store.store import StoreInfo

SIZES = (8, 16, 28, 32, 48, 64)
LARGEST_ON_CPU = 32
DEFAULT = 32
KINDS = {1: "gray", 3: "colour"}
GRAY_MODES = ("1", "L", "LA", "I", "I;16", "I;16B", "I;16L", "F")


@dataclass(frozen=True)
class Shape:
    """The shape of all images of a run."""

    resolution: int
    """Height and width, in pixels."""
    channels: int
    """1: gray, 3: colour."""
    why: str
    """What it was taken from, a sentence."""


def shape_of(
    found: Layout, path: Path, public: str, resolution: int | None, channels: int | None, *, look: bool, gpu: bool
) -> Shape:
    """Resolution and channels: as given, as the format says, as one image has them if allowed, or the default.

    Args:
        found: the layout of the sensitive set.
        path: the folder or file that it was found in.
        public: the public images; a store has one shape.
        resolution: as given, or None.
        channels: as given, or None.
        look: whether the header of one image may be read.
        gpu: whether the run will have a GPU, which can work with larger images.

    Raises:
        UserError: if the image that may be looked at cannot be read.
    """
    side, planes, why = DEFAULT, 3, "No image was opened: 32x32 in colour is the default (--look reads one header)."
    if public.endswith(".beton"):
        store = StoreInfo.read(Path(public))
        side, planes = store.resolution, store.channels
        why = f"The store of public images has {side}x{side} pixels, {KINDS[planes]}."
    elif found.source == "mnist":
        side, planes, why = 28, 1, "Idx files as of MNIST: 28x28, gray."
    elif found.source == "npz":
        side, planes = of_array(path)
        why = f"The array of images has a shorter side of {side} pixels, {KINDS[planes]}."
    elif look and found.first is not None:
        side, planes = of_header(found.first)
        why = f"One header was read, of the first image by name: its shorter side is {side} pixels, {KINDS[planes]}."
    if resolution and channels:
        why = f"{resolution}x{resolution}, {KINDS[channels]}, as given."
    exact = public.endswith(".beton")
    return Shape(resolution or (side if exact else proposed(side, gpu=gpu)), channels or planes, why)


def of_array(path: Path) -> tuple[int, int]:
    """Shorter side and channels of the images of an .npz file; its header is public by declaration."""
    shape = array_shape(path, "train_images")
    return min(shape[1:3]), 3 if len(shape) == 4 else 1


def of_header(path: Path) -> tuple[int, int]:
    """Shorter side in pixels and number of channels that the header of an image states; decodes no pixel.

    Raises:
        UserError: if it is no image.

    Sensitive: reads one sensitive file, which its owner has allowed.
    """
    try:
        with silent_decoders(), Pillow.open(path) as picture:
            return min(picture.size), 1 if picture.mode in GRAY_MODES else 3
    except OSError as error:
        raise UserError("--look: the first image by name cannot be read. Give --resolution and --channels.") from error


def proposed(side: int, *, gpu: bool) -> int:
    """The largest usual resolution that images of a shorter side fill, and that the machine can work with."""
    limit = max(SIZES) if gpu else LARGEST_ON_CPU
    return max((size for size in SIZES if size <= min(side, limit)), default=SIZES[0])
