"""What every set of labelled images can do, whether it is in memory or stays on disk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from torch import Tensor

if TYPE_CHECKING:
    from datamodules.image_set import ImageSet


@dataclass(frozen=True)
class Reading:
    """How images on disk are read ahead; never changes what a batch holds.

    workers: processes that decode image files, 0 for the training process itself; reader: for stores, `ffcv`, `plain`
    (a DataLoader) or `auto` (FFCV where it is installed).
    """

    workers: int = 0
    reader: str = "auto"


class LabelledImages(Protocol):
    """Labelled images of one shape, uint8 [C, H, W] each, with a label (int64 index into class_names) each.

    In memory they are an `ImageSet`, on disk an `IndexedSet`.
    """

    @property
    def labels(self) -> np.ndarray:
        """int64 [N]."""
        ...

    @property
    def class_names(self) -> tuple[str, ...]: ...

    def __len__(self) -> int: ...

    def subset(self, indices: np.ndarray | Sequence[int]) -> LabelledImages:
        """The images at these indices (int [M]) in that order, with the same class names."""
        ...

    def relabel(self, mapping: Mapping[int, int], class_names: Sequence[str]) -> LabelledImages:
        """The same images under new labels; ValueError if a label that occurs has no new one."""
        ...

    def in_memory(self) -> ImageSet:
        """All of them as arrays: for sets that are known to be small."""
        ...

    def batches(self, indices: Iterable[np.ndarray], reading: Reading) -> Iterator[tuple[Tensor, Tensor]]:
        """Images (uint8 [B, C, H, W]) and labels (int64 [B]) at each of these indices (int64 [B], B may be 0).

        The tensors are the caller's own. `indices` may be taken ahead of the batches. A set on disk reads ahead by
        threads or processes, which end when the iterator is closed.
        """
        ...

    def save(self, folder: str | Path) -> None:
        """Write to a folder what `load_selection` needs to make the set anew."""
        ...


def new_labels(labels: np.ndarray, mapping: Mapping[int, int], classes: int) -> np.ndarray:
    """Labels (int64 [N] in 0..classes-1) mapped to new ones; ValueError if one that occurs has no new one."""
    present = np.unique(labels)
    missing = [int(label) for label in present if int(label) not in mapping]
    if missing:
        raise ValueError(f"no new label for {missing}")
    table = np.zeros(classes, dtype=np.int64)
    for label in present:
        table[label] = mapping[int(label)]
    return table[labels]
