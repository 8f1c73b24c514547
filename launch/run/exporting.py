"""Images in the formats of other programs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PIL import Image

from datamodules.sets.image_set import ImageSet


def write_image_folder(images: ImageSet, folder: Path) -> None:
    """One PNG an image in a sub-folder per category."""
    for label, name in enumerate(images.class_names):
        place = folder / name.replace("/", "_")
        place.mkdir(parents=True, exist_ok=True)
        for number, picture in enumerate(images.of_class(label).images):
            Image.fromarray(picture[0] if picture.shape[0] == 1 else picture.transpose(1, 2, 0)).save(
                place / f"{number:06d}.png"
            )


FORMATS: dict[str, Callable[[ImageSet, Path], None]] = {"imagefolder": write_image_folder}
