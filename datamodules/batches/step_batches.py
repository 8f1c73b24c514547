"""Batches whose content is a function of the step alone, for exact resumption."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from datamodules.sets.image_set import LabelledImages, Reading

Batch = tuple[int, Tensor, Tensor]


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
    """One pass over the batches of steps start .. steps-1, each (step, images uint8 [B, C, H, W], labels int64 [B]).

    Every process gets its `part` of the same logical batch. `len` is the number of all steps,
    also after a resumption: Lightning counts the steps done before against it, and with a length known it never fetches
    ahead, so that `state_dict` in a checkpoint names exactly the next step. Lightning gives that state back
    (`load_state_dict`) before the first batch of a fit with `ckpt_path`, and only then; a loader made with `start`
    needs no state, and one that has both refuses a state that disagrees. The checkpoint must be saved within the epoch
    (`on_train_batch_end`): once `fit` has returned, even if asked to stop early, Lightning counts the epoch as
    done, and a resumption with `max_epochs=1` does nothing. Images on disk are read ahead of the step; what reads them
    ends with the iterator. Raises ValueError for a start out of range.
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
        """The logical batch of a step: int64 indices into the image set."""

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
        """Go on at the step of a state; ValueError if the loader was made to start at another one than 0 or this."""
        if self._start not in (0, state["step"]):
            raise ValueError(f"the loader starts at step {self._start}, the checkpoint at step {state['step']}")
        self._next = int(state["step"])
