"""Images that carry the parameters they were made from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Samples:
    """Candidates of one category.

    images: uint8 [N, C, H, W]. parameters: float64 [N, P], whatever an API wants to find again when it varies them; P
    may be 0. Raises TypeError where they are no NumPy arrays, ValueError where the two do not go together.
    """

    images: np.ndarray
    parameters: np.ndarray

    def __post_init__(self) -> None:
        for name, part in (("images", self.images), ("parameters", self.parameters)):
            if not isinstance(part, np.ndarray):
                raise TypeError(f"{name} are a {type(part).__name__}; give a NumPy array")
        if self.images.ndim != 4 or self.parameters.ndim != 2 or len(self.images) != len(self.parameters):
            raise ValueError(f"images {self.images.shape} and parameters {self.parameters.shape} do not go together")

    def __len__(self) -> int:
        return len(self.images)

    def take(self, indices: np.ndarray | Sequence[int]) -> Samples:
        """The samples at these indices, int [M], in that order; one may come several times."""
        chosen = np.asarray(indices, dtype=np.int64)
        return Samples(self.images[chosen], self.parameters[chosen])

    @classmethod
    def of_images(cls, images: np.ndarray) -> Samples:
        """Samples without parameters."""
        return cls(images, np.zeros((len(images), 0)))

    @classmethod
    def joined(cls, parts: Sequence[Samples]) -> Samples:
        """Some samples after the others; ValueError where there are none."""
        return cls(np.concatenate([part.images for part in parts]), np.concatenate([part.parameters for part in parts]))


def arrays_of(population: Sequence[Samples]) -> Iterator[np.ndarray]:
    """All that a population consists of."""
    for samples in population:
        yield from (samples.images, samples.parameters)
