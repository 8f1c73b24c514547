"""Improved precision and recall: how real the images are, and how much of what is real they cover."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

HELD = 2**22  # distances held at once: 32 MiB
ROUNDING = 1e-11  # of the squared lengths: how far two ways to the same distance may be apart


@dataclass(frozen=True, eq=False)
class Manifold:
    """The union of balls around points, each as wide as the way to the k-th nearest other point.

    points: float64 [N, D], centred on `centre` [D]; squared_radii: [N]. As sensitive as the points.
    """

    points: Tensor
    squared_radii: Tensor
    centre: Tensor

    @classmethod
    def of(cls, features: np.ndarray, neighbours: int, device: torch.device | str = "cpu") -> Manifold:
        """The manifold of features [N, D]; ValueError unless there are more than `neighbours` >= 1 of them."""
        if features.ndim != 2 or not 1 <= neighbours < len(features):
            raise ValueError(f"features must be [N, D] with N > {neighbours} >= 1, not {list(features.shape)}")
        raw = torch.from_numpy(np.asarray(features, dtype=np.float64)).to(device)
        centre = raw.mean(dim=0)
        points = raw - centre
        radii = raw.new_empty(len(raw))
        for first, distances in _squared_distances(points, points):
            rows = torch.arange(len(distances), device=points.device)
            distances[rows, first + rows] = math.inf  # a point is no neighbour of itself
            radii[first : first + len(rows)] = distances.topk(neighbours, dim=1, largest=False).values[:, -1]
        return cls(points, radii, centre)

    def share(self, features: np.ndarray) -> float:
        """The share of some features [M, D] that lies in the manifold, in [0, 1]."""
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
    """Improved precision and recall (Kynkäänniemi et al. 2019, Eq. 1 and 2), each in [0, 1]; higher is better.

    Precision is the share of `generated` in the manifold of `real`, recall the share of `real` in that of `generated`.
    Both depend on the sizes of the sets, so compare sets of equal size only. Memory beside the features is bounded.

    features: [N, D] and [M, D], more than `neighbours` of each, or ValueError. Not private where `real` is sensitive.
    """
    return (
        Manifold.of(real, neighbours, device).share(generated),
        Manifold.of(generated, neighbours, device).share(real),
    )


def _squared_distances(rows: Tensor, columns: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Squared distances of some rows to all columns, [R, N], with the number of the first row; gone with the next.

    All are written into one block: large blocks that come and go leave holes, and memory grew by a block each.
    """
    lengths = columns.square().sum(dim=1)
    count = max(1, HELD // len(columns))
    block = columns.new_empty(min(count, len(rows)), len(columns))
    for first in range(0, len(rows), count):
        part = rows[first : first + count]
        products = torch.mm(part, columns.T, out=block[: len(part)])
        products.mul_(-2).add_(part.square().sum(dim=1, keepdim=True)).add_(lengths)
        yield first, products.clamp_(min=0)
