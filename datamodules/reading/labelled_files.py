"""Reading image files whose categories are known already."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from configs.schema import Image
from datamodules.reading.decoded_files import decode_files
from datamodules.reading.files_error import FilesError
from datamodules.reading.listing import NAMED
from datamodules.sets.image_set import ImageSet

SKIP = (
    "Fix or remove them, or leave them out with .corrupt=skip. If the run has started, give it another run.name then."
)


@dataclass(frozen=True)
class LabelledFiles:
    """Image files below one folder, each with its category."""

    root: Path
    """The folder."""
    names: Sequence[str]
    """Paths below the folder, N."""
    labels: Sequence[int]
    """Indices into the names of the categories, N."""

    def paths(self) -> list[Path]:
        """The files."""
        return [self.root / name for name in self.names]


def read_files(
    files: LabelledFiles,
    class_names: tuple[str, ...],
    image: Image,
    key_name: str,
    *,
    skip: bool,
    progress: bool,
    bits: int | None = None,
) -> ImageSet:
    """Decode image files, as `decode` does.

    Args:
        files: the files.
        class_names: names of the categories.
        image: the shape that images are brought to.
        key_name: the key that gave the files, for messages.
        skip: leave out files that cannot be read, instead of refusing them.
        progress: whether to show a progress bar.
        bits: how many bits of deeper gray images are in use; None for what each file says.

    Raises:
        FilesError: for files that cannot be read, unless they are skipped.
    """
    images, readable, reasons = decode_files(
        files.paths(),
        image,
        f"reading {files.root.name}",
        progress=progress,
        most_unreadable=None if skip else NAMED,
        bits=bits,
    )
    labels = np.array(files.labels, dtype=np.int64)
    unreadable = [name for name, fine in zip(files.names, readable, strict=True) if not fine]
    if unreadable and not skip:
        why = [reasons.get(number, "") for number in np.flatnonzero(~readable).tolist()]
        raise FilesError(f"{key_name}: files that cannot be read as images", unreadable, SKIP, why)
    if unreadable:  # no number: the console must not show how many records are missing
        warnings.warn(f"{key_name}: unreadable files were skipped (corrupt=refuse lists some of them)", stacklevel=3)
    return ImageSet(images if readable.all() else images[readable], labels[readable], class_names)
