"""What accuracy guessing has, and whether an accuracy is better than that."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

ADVICE = (
    "No classifier is better than guessing: the images teach nothing yet. Try, cheapest first: another method (sim_pe "
    "for few images), a lower image.resolution, more pre-training, a larger privacy.epsilon, more sensitive images."
)


@dataclass(frozen=True)
class Guessing:
    """Accuracies on a test set that need no training images."""

    chance: float
    """In (0, 1]: of a category drawn at random."""
    largest: float
    """In (0, 1]: of always saying the largest category of the test set."""
    count: int
    """Number of test images."""

    @classmethod
    def on(cls, labels: np.ndarray, categories: int) -> Guessing:
        """Guessing on a test set.

        Args:
            labels: int64 [N], N >= 1, in [0, categories).
            categories: number of categories.

        Sensitive: `largest` is computed from the labels.
        """
        return cls(1 / categories, float(np.bincount(labels).max()) / len(labels), len(labels))

    def beaten_by(self, accuracies: Iterable[float]) -> bool:
        """Whether one of these accuracies is better by more than two standard errors."""
        best = max(self.chance, self.largest)
        margin = 2 * math.sqrt(best * (1 - best) / self.count)
        return any(accuracy > best + margin for accuracy in accuracies)
