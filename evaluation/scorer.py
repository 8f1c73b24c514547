"""Classifiers that score synthetic images: their registry, their protocol and what all of them share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch

from configs.components.scorers import SCORER_NAMES
from configs.registry import Registry
from datamodules.sets.image_set import ImageSet

Predictor = Callable[[np.ndarray], np.ndarray]
"""Labels, int64 [N], of images, uint8 [N, C, H, W]."""


class Scorer(Protocol):
    """Trains one kind of classifier."""

    def fit(
        self, train: ImageSet, holdout: ImageSet, seed: int, device: torch.device, *, progress: bool = False
    ) -> Predictor:
        """The classifier that does best on `holdout`.

        Args:
            train: synthetic images to learn from.
            holdout: other synthetic images, to choose an epoch or a penalty.
            seed: of training, >= 0.
            device: where a network is trained.
            progress: whether to draw a progress bar if training takes long.
        """
        ...


SCORERS: Registry[Scorer] = Registry(SCORER_NAMES)


def accuracy(predictor: Predictor, images: ImageSet) -> float:
    """Share of the images that is classified correctly, in [0, 1].

    Sensitive: not private if the images are sensitive.
    """
    return float(np.mean(predictor(np.asarray(images.images)) == images.labels))


def pixels(images: np.ndarray) -> np.ndarray:
    """Images, uint8 [N, C, H, W], as rows of numbers in [0, 1], float32 [N, C*H*W]."""
    return images.reshape(len(images), -1).astype(np.float32) / 255
