"""Sensitive images, drawn by keyed Poisson sampling."""

from __future__ import annotations

import numpy as np
from lightning.pytorch import LightningDataModule

from accounting.access import PrivateAccess
from datamodules.batches.step_batches import Part, StepBatches
from datamodules.sets.image_set import ImageSet


class PoissonBatches(StepBatches):
    """The Poisson samples of a private fit's steps (sensitive data).

    Every record is in a step's logical batch with the mechanism's sampling rate, apart from all others, as drawn by
    `access` from its keyed stream: the same on every rank, and possibly empty. The batch's actual size is private.
    """

    def __init__(
        self,
        images: ImageSet,
        access: PrivateAccess,
        *,
        start: int = 0,
        part: Part = Part(),  # noqa: B008 (frozen)
    ) -> None:
        super().__init__(images, access.mechanism.steps, start=start, part=part)
        self._access = access

    def indices(self, step: int) -> np.ndarray:
        """The Poisson sample of a step over the whole set."""
        return self._access.sample(step, len(self.images))


class SensitiveData(LightningDataModule):
    """Sensitive images for one private fit, a batch for each DP-SGD step from `start` on."""

    def __init__(
        self,
        images: ImageSet,
        access: PrivateAccess,
        *,
        start: int = 0,
        part: Part = Part(),  # noqa: B008 (frozen)
    ) -> None:
        super().__init__()
        self._batches = PoissonBatches(images, access, start=start, part=part)

    def train_dataloader(self) -> PoissonBatches:
        """The batches of all steps that are left."""
        return self._batches
