"""Public images in shuffled or ordered batches, and their split for validation."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from lightning.pytorch import LightningDataModule

from configs.errors import UserError
from datamodules.batches.step_batches import Batch, Part, StepBatches
from datamodules.sets.image_set import LabelledImages, Reading


class ShuffledBatches(StepBatches):
    """Batches of one size from the endless sequence of shuffled epochs.

    Step s takes the positions from s * batch_size on. A batch may cross the border between two epochs, so no image is
    dropped. The order of an epoch is a function of (seed, epoch).

    Args:
        images: the public set, at least one image.
        batch_size: images in a logical batch.
        steps: number of all steps.
        seed: seed of the shuffling.
        start: first step, in 0..steps.
        part: the rows of every batch that are for this process.
        reading: how images on disk are read ahead.

    Raises:
        UserError: if the set is empty.
        ValueError: if `start` is out of range.
    """

    def __init__(
        self,
        images: LabelledImages,
        batch_size: int,
        steps: int,
        seed: int,
        *,
        start: int = 0,
        part: Part = Part(),  # noqa: B008 (frozen)
        reading: Reading = Reading(),  # noqa: B008 (frozen)
    ) -> None:
        super().__init__(images, steps, start=start, part=part, reading=reading)
        if not len(images):
            raise UserError("the public set is empty: give a public source, or a selection, that has images.")
        self.batch_size = batch_size
        self.seed = seed
        self._shuffled: tuple[int, np.ndarray] | None = None  # the latest epoch and its order

    def indices(self, step: int) -> np.ndarray:
        """The logical batch of a step, int64 [batch_size]."""
        epochs, places = np.divmod(np.arange(step * self.batch_size, (step + 1) * self.batch_size), len(self.images))
        return np.concatenate([self._order(int(epoch))[places[epochs == epoch]] for epoch in np.unique(epochs)])

    def _order(self, epoch: int) -> np.ndarray:
        if self._shuffled is None or self._shuffled[0] != epoch:
            self._shuffled = epoch, np.random.default_rng([self.seed, epoch]).permutation(len(self.images))
        return self._shuffled[1]


class OrderedBatches:
    """Every image once, in order, in batches (batch number, images, labels); may be iterated over repeatedly.

    Args:
        images: the set; may be empty.
        batch_size: images in a logical batch; the last one may have fewer.
        part: the rows of every batch that are for this process.
        reading: how images on disk are read ahead.
    """

    def __init__(
        self,
        images: LabelledImages,
        batch_size: int,
        *,
        part: Part = Part(),  # noqa: B008 (frozen)
        reading: Reading = Reading(),  # noqa: B008 (frozen)
    ) -> None:
        self.images = images
        self.batch_size = batch_size
        self.part = part
        self.reading = reading

    def __len__(self) -> int:
        return -(-len(self.images) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        firsts = range(0, len(self.images), self.batch_size)
        lasts = (min(first + self.batch_size, len(self.images)) for first in firsts)
        wanted = (self.part.of(np.arange(*border)) for border in zip(firsts, lasts, strict=True))
        for number, (images, labels) in enumerate(self.images.batches(wanted, self.reading)):
            yield number, images, labels


class PublicData(LightningDataModule):
    """Public images for one fit without privacy, with a validation set if one is given.

    Args:
        images, batch_size, steps, seed, start, part, reading: as for `ShuffledBatches`.
        validation: images of the validation set.
        validation_batch_size: images in one of its logical batches.
    """

    def __init__(
        self,
        images: LabelledImages,
        batch_size: int,
        steps: int,
        seed: int,
        *,
        start: int = 0,
        validation: LabelledImages | None = None,
        validation_batch_size: int = 1000,
        part: Part = Part(),  # noqa: B008 (frozen)
        reading: Reading = Reading(),  # noqa: B008 (frozen)
    ) -> None:
        super().__init__()
        self._train = ShuffledBatches(images, batch_size, steps, seed, start=start, part=part, reading=reading)
        self._validation = []
        if validation is not None:
            self._validation = [OrderedBatches(validation, validation_batch_size, part=part, reading=reading)]

    def train_dataloader(self) -> ShuffledBatches:
        """The batches of all remaining steps."""
        return self._train

    def val_dataloader(self) -> list[OrderedBatches]:
        """One loader of the validation images, or an empty list."""
        return self._validation


def split(images: LabelledImages, fraction: float, seed: int) -> tuple[LabelledImages, LabelledImages]:
    """Split a public set at random into training and validation images.

    Args:
        images: at least two images.
        fraction: share for validation; each part gets at least one image.
        seed: seed of the split.

    Raises:
        UserError: if the set has fewer than two images.
    """
    if len(images) < 2:
        raise UserError("the public set has fewer than two images, so no image can be kept for validation.")
    order = np.random.default_rng(seed).permutation(len(images))
    held_out = min(max(1, round(len(images) * fraction)), len(images) - 1)
    return images.subset(np.sort(order[held_out:])), images.subset(np.sort(order[:held_out]))
