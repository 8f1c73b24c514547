"""Labelled images that stay on disk and are read by row number."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from configs.errors import UserError
from configs.files import read_json
from datamodules.sets.image_set import ImageSet, LabelledImages, Reading, new_labels
from datamodules.sets.saved_folder import save_folder

FILES = ("rows.npy", "labels.npy", "indexed_set.json")


class ImageReader(Protocol):
    """Reads images on disk, brought to one shape, by row number."""

    @property
    def fingerprint(self) -> str:
        """Says which images these are and in which order; the same for a store and the folder it was made from."""
        ...

    def read(self, rows: np.ndarray) -> np.ndarray:
        """The images at these rows (int64 [B]): uint8 [B, C, H, W]. UserError that names a file it cannot read."""
        ...

    def read_ahead(self, rows: Iterable[np.ndarray], reading: Reading) -> Iterator[Tensor]:
        """The same for one array of rows after another, each in its own tensor, read ahead if that helps."""
        ...


@dataclass(frozen=True, eq=False)
class IndexedSet:
    """Labelled images on disk: rows of a reader, each with a label.

    `subset` and `relabel` only make new index arrays; they read no image.
    """

    reader: ImageReader
    """Reads the images."""
    rows: np.ndarray
    """Int64 [N], row numbers of `reader`."""
    labels: np.ndarray
    """Int64 [N], indices into `class_names`."""
    class_names: tuple[str, ...]
    """Names of the categories, distinct."""

    def __len__(self) -> int:
        return len(self.rows)

    def subset(self, indices: np.ndarray | Sequence[int]) -> IndexedSet:
        """The images at these indices (int [M]) in that order, with the same class names."""
        chosen = np.asarray(indices, dtype=np.int64)
        return replace(self, rows=self.rows[chosen], labels=self.labels[chosen])

    def relabel(self, mapping: Mapping[int, int], class_names: Sequence[str]) -> IndexedSet:
        """The same images with new labels; ValueError if a label that occurs is not in `mapping`."""
        labels = new_labels(self.labels, mapping, len(self.class_names))
        return replace(self, labels=labels, class_names=tuple(class_names))

    def in_memory(self) -> ImageSet:
        """All images as arrays."""
        return ImageSet(self.reader.read(self.rows), self.labels, self.class_names)

    def batches(self, indices: Iterable[np.ndarray], reading: Reading) -> Iterator[tuple[Tensor, Tensor]]:
        """Images (uint8 [B, C, H, W]) and labels (int64 [B]) at each array of indices, read ahead."""
        waiting: list[np.ndarray] = []  # labels of the batches that are being read, the next batch first

        def rows() -> Iterator[np.ndarray]:
            for here in indices:
                waiting.append(self.labels[here])
                yield self.rows[here]

        for images in self.reader.read_ahead(rows(), reading):
            yield images, torch.from_numpy(waiting.pop(0))

    def save(self, folder: str | Path) -> None:
        """Write which images these are, but not the images; `load_selection` reads it."""
        values = {"class_names": list(self.class_names), "fingerprint": self.reader.fingerprint}
        save_folder(folder, {FILES[0]: self.rows, FILES[1]: self.labels}, {FILES[2]: values})


def load_selection(folder: Path, public: Callable[[], LabelledImages]) -> LabelledImages:
    """Read what `save` of either kind of set wrote.

    Args:
        folder: the one given to `save`.
        public: returns the set that the images were chosen from; called only if the images are on disk.

    Raises:
        UserError: if the folder is missing or damaged, or if `public` is no longer the same set.
    """
    folder = Path(folder)
    if not (folder / FILES[2]).is_file():
        return ImageSet.load(folder)
    again = "Remove that folder and run the same command again; it will be rebuilt."
    try:
        rows, labels = (np.load(folder / name, allow_pickle=False) for name in FILES[:2])
        values = read_json(folder / FILES[2], again)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"the selection stored in '{folder}' cannot be read ({error}). {again}") from error
    whole = public()
    if not isinstance(whole, IndexedSet) or whole.reader.fingerprint != values["fingerprint"]:
        raise UserError(
            f"the selection in '{folder}' was made from other public images than the present ones. Restore the earlier "
            "images, or start again under another run.name."
        )
    return IndexedSet(whole.reader, rows, labels, tuple(values["class_names"]))
