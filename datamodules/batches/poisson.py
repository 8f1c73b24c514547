"""Sensitive images in batches drawn by keyed Poisson sampling."""

from __future__ import annotations

import numpy as np
from lightning.pytorch import LightningDataModule

from accounting.access import PrivateAccess
from datamodules.batches.step_batches import Part, StepBatches
from datamodules.sets.sensitive import SensitiveImages


class PoissonBatches(StepBatches):
    """The Poisson samples of a private fit, one batch per step.

    Each record is in the logical batch of a step with the mechanism's sampling rate as probability, independently of
    all others. `access` draws it from its keyed stream, so it is the same on every process. A batch may be empty.

    Args:
        images: the whole sensitive set.
        access: the charged mechanism: sampling rate, number of steps and keyed stream.
        start: first step, in 0..steps.
        part: the rows of every batch that are for this process.

    Raises:
        ValueError: if `start` is out of range.

    Sensitive: the batches are sensitive images, and the actual size of a batch is private.
    """

    def __init__(
        self,
        images: SensitiveImages,
        access: PrivateAccess,
        *,
        start: int = 0,
        part: Part = Part(),  # noqa: B008 (frozen)
    ) -> None:
        super().__init__(images.exposed(), access.mechanism.steps, start=start, part=part)
        self._access = access

    def indices(self, step: int) -> np.ndarray:
        """The Poisson sample of a step over the whole set."""
        return self._access.sample(step, len(self.images))


class SensitiveData(LightningDataModule):
    """Sensitive images for one private fit: a Poisson sample for each DP-SGD step from `start` on.

    Args:
        images, access, start, part: as for `PoissonBatches`.

    Sensitive: the batches are sensitive images.
    """

    def __init__(
        self,
        images: SensitiveImages,
        access: PrivateAccess,
        *,
        start: int = 0,
        part: Part = Part(),  # noqa: B008 (frozen)
    ) -> None:
        super().__init__()
        self._batches = PoissonBatches(images, access, start=start, part=part)

    def train_dataloader(self) -> PoissonBatches:
        """The batches of all remaining steps."""
        return self._batches
