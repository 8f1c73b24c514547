"""Images in the formats of other programs."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from configs.errors import UserError
from configs.files import atomic_write
from datamodules.sets.image_set import ImageSet
from launch.run.card import Layout


@dataclass(frozen=True)
class Format:
    """A way to write a set of images."""

    write: Callable[[ImageSet, Path], None]
    """Writes them to a folder."""
    layout: Layout
    """What a data card says of it."""


def picture_of(pixels: Any) -> Image.Image:
    """An image uint8 [C, H, W] as Pillow has it."""
    return Image.fromarray(pixels[0] if pixels.shape[0] == 1 else pixels.transpose(1, 2, 0))


def write_image_folder(images: ImageSet, folder: Path) -> None:
    """One PNG an image in a sub-folder per category; none for a category without images, which ImageFolder refuses."""
    folder.mkdir(parents=True, exist_ok=True)
    for label, name in enumerate(images.class_names):
        place = folder / name.replace("/", "_")
        for number, picture in enumerate(images.of_class(label).images):
            place.mkdir(exist_ok=True)
            picture_of(picture).save(place / f"{number:06d}.png")


def write_parquet(images: ImageSet, folder: Path) -> None:
    """One Parquet file: `image` (PNG bytes and a path) and `label`, with the names of the labels, as `datasets` has it.

    Raises:
        UserError: if pyarrow is not installed.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise UserError(
            "--format: parquet needs pyarrow, which is not installed. Install it (pip install pyarrow), or use "
            "--format imagefolder."
        ) from error
    encoded = [{"bytes": png(picture), "path": None} for picture in images.images]
    kind = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
    features = {
        "image": {"_type": "Image"},
        "label": {"names": list(images.class_names), "_type": "ClassLabel"},
    }
    schema = pyarrow.schema(
        [("image", kind), ("label", pyarrow.int64())],
        metadata={"huggingface": json.dumps({"info": {"features": features}})},
    )
    table = pyarrow.table([pyarrow.array(encoded, kind), pyarrow.array(images.labels, pyarrow.int64())], schema=schema)
    atomic_write(folder / "train.parquet", lambda file: parquet.write_table(table, file))


def png(pixels: Any) -> bytes:
    """An image uint8 [C, H, W] as the bytes of a PNG file."""
    buffer = io.BytesIO()
    picture_of(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


FORMATS: dict[str, Format] = {
    "imagefolder": Format(
        write_image_folder,
        Layout(
            """\
PNG files, one folder per category. This folder being `images`:

```python
datasets.load_dataset("images", split="train")     # Hugging Face
torchvision.datasets.ImageFolder("images")
```
""",
            "*/*.png",
            named=False,
        ),
    ),
    "parquet": Format(
        write_parquet,
        Layout(
            """\
One Parquet file with the columns `image` and `label`. This folder being `images`:

```python
datasets.load_dataset("images", split="train")     # Hugging Face
```
""",
            "train.parquet",
        ),
    ),
}
