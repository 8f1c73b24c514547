"""Batches whose content depends only on the step, for exact resumption."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from datamodules.sets.image_set import LabelledImages, Reading

Batch = tuple[int, Tensor, Tensor]
"""Number of the step or batch, images uint8 [B, C, H, W], labels int64 [B]."""


@dataclass(frozen=True)
class Part:
    """Which rows of every batch are for this process: [rank::world]. Default: the only process, all rows.

    Raises:
        ValueError: if there is no such process.
    """

    rank: int = 0
    """In 0..world-1."""
    world: int = 1
    """Processes that share each batch."""

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.world:
            raise ValueError(f"rank {self.rank} of {self.world}")

    def of(self, batch: np.ndarray) -> np.ndarray:
        """This process' rows of a logical batch."""
        return batch[self.rank :: self.world]


class StepBatches(ABC):
    """One pass over the batches of steps start .. steps-1, each a `Batch` with its step.

    Every process gets its `part` of the same logical batch. Images on disk are read ahead of the step; the threads or
    processes that read them end with the iterator.

    `len` is the number of all steps, also after a resumption: Lightning compares it with the steps done so far. If the
    length is known, Lightning never fetches a batch ahead, so `state_dict` in a checkpoint holds exactly the next step.
    Lightning restores that state (`load_state_dict`) before the first batch of a fit with `ckpt_path`, and only then. A
    loader made with `start` needs no state; one that has both refuses a state that disagrees.

    Save the checkpoint within the epoch (`on_train_batch_end`). Once `fit` has returned, even if it was asked to stop
    early, Lightning counts the epoch as done, and a resumption with `max_epochs=1` does nothing.

    Args:
        images: the whole set.
        steps: number of all steps.
        start: first step, in 0..steps.
        part: the rows of every batch that are for this process.
        reading: how images on disk are read ahead.

    Raises:
        ValueError: if `start` is out of range.
    """

    def __init__(
        self,
        images: LabelledImages,
        steps: int,
        *,
        start: int,
        part: Part,
        reading: Reading = Reading(),  # noqa: B008 (frozen)
    ) -> None:
        if not 0 <= start <= steps:
            raise ValueError(f"start {start} of {steps} steps")
        self.images = images
        self.part = part
        self.reading = reading
        self._start = start
        self._steps = steps
        self._next = start

    @abstractmethod
    def indices(self, step: int) -> np.ndarray:
        """The logical batch of a step: int64 [B], indices into the set."""

    def __len__(self) -> int:
        return self._steps

    def __iter__(self) -> Iterator[Batch]:
        wanted = (self.part.of(self.indices(step)) for step in range(self._next, self._steps))
        for images, labels in self.images.batches(wanted, self.reading):
            step = self._next
            self._next = step + 1
            yield step, images, labels

    def state_dict(self) -> dict[str, Any]:
        """The next step."""
        return {"step": self._next}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue at the step of a state; ValueError if the loader was made to start at another step, and not at 0."""
        if self._start not in (0, state["step"]):
            raise ValueError(f"the loader starts at step {self._start}, the checkpoint at step {state['step']}")
        self._next = int(state["step"])
