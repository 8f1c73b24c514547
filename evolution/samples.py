"""Images together with the parameters that they were made from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Samples:
    """Candidates of one category.

    Raises:
        TypeError: if the images or the parameters are not NumPy arrays.
        ValueError: if they have the wrong number of dimensions or different lengths.
    """

    images: np.ndarray
    """Uint8 [N, C, H, W]."""
    parameters: np.ndarray
    """Float64 [N, P]: whatever an API needs when it varies the images; P may be 0."""

    def __post_init__(self) -> None:
        for name, part in (("images", self.images), ("parameters", self.parameters)):
            if not isinstance(part, np.ndarray):
                raise TypeError(f"{name} are a {type(part).__name__}; give a NumPy array")
        if self.images.ndim != 4 or self.parameters.ndim != 2 or len(self.images) != len(self.parameters):
            raise ValueError(f"images {self.images.shape} and parameters {self.parameters.shape} do not match")

    def __len__(self) -> int:
        return len(self.images)

    def take(self, indices: np.ndarray | Sequence[int]) -> Samples:
        """The samples at these indices, in that order.

        Args:
            indices: int [M]; an index may occur several times.
        """
        chosen = np.asarray(indices, dtype=np.int64)
        return Samples(self.images[chosen], self.parameters[chosen])

    @classmethod
    def of_images(cls, images: np.ndarray) -> Samples:
        """Samples without parameters."""
        return cls(images, np.zeros((len(images), 0)))

    @classmethod
    def joined(cls, parts: Sequence[Samples]) -> Samples:
        """All samples, one part after the other; ValueError if there are no parts."""
        return cls(np.concatenate([part.images for part in parts]), np.concatenate([part.parameters for part in parts]))


def arrays_of(population: Sequence[Samples]) -> Iterator[np.ndarray]:
    """All arrays of a population: images, then parameters, of each category in turn."""
    for samples in population:
        yield from (samples.images, samples.parameters)
