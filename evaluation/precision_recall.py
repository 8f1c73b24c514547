"""Improved precision and recall: how realistic the images are, and how much of the real images they cover."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

HELD = 2**22  # distances in memory at once: 32 MiB
ROUNDING = 1e-11  # of the squared lengths: how much two computations of the same distance may differ


@dataclass(frozen=True, eq=False)
class Manifold:
    """The union of balls around points; the radius of each is the distance to its k-th nearest other point.

    Sensitive: as sensitive as the points.
    """

    points: Tensor
    """float64 [N, D], with `centre` subtracted."""
    squared_radii: Tensor
    """float64 [N]."""
    centre: Tensor
    """float64 [D], the mean of the points."""

    @classmethod
    def of(cls, features: np.ndarray, neighbours: int, device: torch.device | str = "cpu") -> Manifold:
        """The manifold of some features.

        Args:
            features: [N, D].
            neighbours: k, in 1..N-1.
            device: where distances are computed.

        Raises:
            ValueError: if the shape or `neighbours` is out of range.
        """
        if features.ndim != 2 or not 1 <= neighbours < len(features):
            raise ValueError(f"features must be [N, D] with N > {neighbours} >= 1, not {list(features.shape)}")
        raw = torch.from_numpy(np.asarray(features, dtype=np.float64)).to(device)
        centre = raw.mean(dim=0)
        points = raw - centre
        radii = raw.new_empty(len(raw))
        for first, distances in _squared_distances(points, points):
            rows = torch.arange(len(distances), device=points.device)
            distances[rows, first + rows] = math.inf  # a point is not a neighbour of itself
            radii[first : first + len(rows)] = distances.topk(neighbours, dim=1, largest=False).values[:, -1]
        return cls(points, radii, centre)

    def share(self, features: np.ndarray) -> float:
        """The share of some features [M, D] that is in the manifold, in [0, 1]."""
        points = torch.from_numpy(np.asarray(features, dtype=np.float64)).to(self.centre.device) - self.centre
        allowed = self.squared_radii + ROUNDING * self.points.square().sum(dim=1)
        inside = 0
        for first, distances in _squared_distances(points, self.points):
            lengths = points[first : first + len(distances)].square().sum(dim=1, keepdim=True)
            inside += int((distances <= allowed + ROUNDING * lengths).any(dim=1).sum())
        return inside / len(points)


def precision_recall(
    generated: np.ndarray, real: np.ndarray, neighbours: int, device: torch.device | str = "cpu"
) -> tuple[float, float]:
    """Improved precision and recall: the share of `generated` in the manifold of `real`, and vice versa.

    Both depend on the sizes of the sets, so compare sets of equal size only. Memory in addition to the features is
    bounded.

    Args:
        generated: features [N, D], N > neighbours.
        real: features [M, D], M > neighbours.
        neighbours: k, >= 1.
        device: where distances are computed.

    Returns:
        Precision and recall, each in [0, 1]; higher is better.

    Raises:
        ValueError: if a shape or `neighbours` is out of range.

    Source: Kynkäänniemi et al. 2019, Eq. 1 and 2.

    Sensitive: not private if `real` is sensitive.
    """
    return (
        Manifold.of(real, neighbours, device).share(generated),
        Manifold.of(generated, neighbours, device).share(real),
    )


def _squared_distances(rows: Tensor, columns: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Squared distances [R, N] of some rows to all columns, with the number of the first row.

    All are written into one block of memory, so they are valid until the next ones only. With a new block each time,
    memory became fragmented and grew by a block each.
    """
    lengths = columns.square().sum(dim=1)
    count = max(1, HELD // len(columns))
    block = columns.new_empty(min(count, len(rows)), len(columns))
    for first in range(0, len(rows), count):
        part = rows[first : first + count]
        products = torch.mm(part, columns.T, out=block[: len(part)])
        products.mul_(-2).add_(part.square().sum(dim=1, keepdim=True)).add_(lengths)
        yield first, products.clamp_(min=0)
