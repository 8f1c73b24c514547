"""Labelled images: what every set of them can do, and sets in memory or memory-mapped."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from configs.errors import UserError
from datamodules.sets.saved_folder import save_folder

FILES = ("images.npy", "labels.npy", "class_names.json")


@dataclass(frozen=True)
class Reading:
    """How images on disk are read ahead; never changes what a batch holds."""

    workers: int = 0
    """Processes that decode image files; 0: the training process itself decodes them."""
    reader: str = "auto"
    """For stores: `ffcv`, `plain` (a DataLoader) or `auto` (FFCV if it is installed)."""


class LabelledImages(Protocol):
    """Labelled images of one shape, each uint8 [C, H, W] with an int64 label, an index into `class_names`.

    In memory they are an `ImageSet`, on disk an `IndexedSet`.
    """

    @property
    def labels(self) -> np.ndarray:
        """int64 [N]."""
        ...

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the categories, distinct."""
        ...

    def __len__(self) -> int: ...

    def subset(self, indices: np.ndarray | Sequence[int]) -> LabelledImages:
        """The images at these indices (int [M]) in that order, with the same class names."""
        ...

    def relabel(self, mapping: Mapping[int, int], class_names: Sequence[str]) -> LabelledImages:
        """The same images with new labels.

        Args:
            mapping: old label to new label.
            class_names: names for the new labels.

        Raises:
            ValueError: if a label that occurs is not in `mapping`.
        """
        ...

    def in_memory(self) -> ImageSet:
        """All images as arrays: for sets that are known to be small."""
        ...

    def batches(self, indices: Iterable[np.ndarray], reading: Reading) -> Iterator[tuple[Tensor, Tensor]]:
        """One batch per array of indices: images uint8 [B, C, H, W] and labels int64 [B].

        The caller may modify the tensors. `indices` may be consumed ahead of the batches. A set on disk reads ahead
        with threads or processes, which end when the iterator is closed.

        Args:
            indices: arrays int64 [B], B may be 0.
            reading: how a set on disk reads ahead.
        """
        ...

    def save(self, folder: str | Path) -> None:
        """Write to a folder what `load_selection` needs to rebuild the set."""
        ...


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Labelled images of one shape, in memory or memory-mapped.

    Raises:
        ValueError: if a field is not as described below.
    """

    images: np.ndarray
    """Uint8 [N, C, H, W], C 1 or 3, in 0..255."""
    labels: np.ndarray
    """Int64 [N], indices into `class_names`."""
    class_names: tuple[str, ...]
    """Names of the categories, distinct."""

    def __post_init__(self) -> None:
        if self.images.dtype != np.uint8 or self.images.ndim != 4 or self.images.shape[1] not in (1, 3):
            raise ValueError(f"images must be uint8 [N, 1 or 3, H, W], not {self.images.dtype} {self.images.shape}")
        if self.labels.dtype != np.int64 or self.labels.shape != (len(self.images),):
            raise ValueError(f"labels must be int64 [{len(self.images)}], not {self.labels.dtype} {self.labels.shape}")
        if len(set(self.class_names)) != len(self.class_names):
            raise ValueError("class names must be distinct")
        if len(self.labels) and not (self.labels.min() >= 0 and self.labels.max() < len(self.class_names)):
            raise ValueError(f"labels must be in 0..{len(self.class_names) - 1}")

    def __len__(self) -> int:
        return len(self.images)

    def subset(self, indices: np.ndarray | Sequence[int]) -> ImageSet:
        """The images at these indices (int [M]) in that order, with the same class names."""
        chosen = np.asarray(indices, dtype=np.int64)
        return ImageSet(self.images[chosen], self.labels[chosen], self.class_names)

    def of_class(self, label: int) -> ImageSet:
        """The images of one class, with the same class names."""
        return self.subset(np.flatnonzero(self.labels == label))

    def relabel(self, mapping: Mapping[int, int], class_names: Sequence[str]) -> ImageSet:
        """The same images with new labels; ValueError if a label that occurs is not in `mapping`."""
        return ImageSet(self.images, new_labels(self.labels, mapping, len(self.class_names)), tuple(class_names))

    def in_memory(self) -> ImageSet:
        """This set itself."""
        return self

    def batches(self, indices: Iterable[np.ndarray], reading: Reading) -> Iterator[tuple[Tensor, Tensor]]:
        """Copies of the images (uint8 [B, C, H, W]) and labels (int64 [B]) at each array of indices; no read-ahead."""
        for here in indices:
            yield torch.from_numpy(self.images[here]), torch.from_numpy(self.labels[here])

    def save(self, folder: str | Path) -> None:
        """Write to a folder, which appears whole or not at all; an older folder of that name is replaced."""
        save_folder(folder, {FILES[0]: self.images, FILES[1]: self.labels}, {FILES[2]: list(self.class_names)})

    @classmethod
    def load(cls, folder: str | Path, mmap: bool = True) -> ImageSet:
        """Read what `save` wrote.

        Args:
            folder: the one given to `save`.
            mmap: leave the images on disk, memory-mapped.

        Raises:
            UserError: if a file is missing or damaged.
        """
        folder = Path(folder)
        try:
            images = np.load(folder / FILES[0], mmap_mode="r" if mmap else None, allow_pickle=False)
            labels = np.load(folder / FILES[1], allow_pickle=False)
            class_names = json.loads((folder / FILES[2]).read_text(encoding="utf-8"))
            return cls(images, labels, tuple(class_names))
        except (OSError, ValueError, EOFError) as error:
            raise UserError(
                f"the images stored in '{folder}' cannot be read ({error}). Remove that folder and run the same "
                "command again; it will be rebuilt."
            ) from error


def new_labels(labels: np.ndarray, mapping: Mapping[int, int], classes: int) -> np.ndarray:
    """Labels (int64 [N], in 0..classes-1) mapped to new ones; ValueError if one that occurs is not in `mapping`."""
    present = np.unique(labels)
    missing = [int(label) for label in present if int(label) not in mapping]
    if missing:
        raise ValueError(f"no new label for {missing}")
    table = np.zeros(classes, dtype=np.int64)
    for label in present:
        table[label] = mapping[int(label)]
    return table[labels]


def balanced_sample(images: LabelledImages, count: int, seed: int) -> LabelledImages:
    """At most `count` images drawn at random without replacement, as evenly over the categories as possible.

    Reduces a control (the selected images for "query only") to the size of the synthetic set.

    Args:
        count: number of images, >= 0; all images if there are no more.
        seed: of the draw, >= 0.
    """
    if len(images) <= count:
        return images
    order = np.random.default_rng(seed).permutation(len(images))
    labels = images.labels[order]
    turn = np.empty(len(images), dtype=np.int64)  # number of images of its category before each image
    for label in np.unique(labels):
        here = np.flatnonzero(labels == label)
        turn[here] = np.arange(len(here))
    return images.subset(np.sort(order[np.argsort(turn, kind="stable")[:count]]))
