"""Nearest neighbours by matrix products: as fast as these, and exact for any order of their sums."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from lightning_modules.precision import exact_float32

RECORDS = 1024  # queries at once
CANDIDATES = 16_384  # candidates at once: with RECORDS, 64 MiB of distances
EXACT = 2**23  # distances in float64 at once: 64 MiB
ROUNDING = 2.0**-24  # relative error of a number in float32


@torch.inference_mode()
def nearest(queries: Tensor, candidates: Tensor, k: int = 1, *, exact: bool = True) -> Tensor:
    """The k candidates nearest to each query by Euclidean distance, nearest first: int64 [N, k] on the CPU.

    Queries and candidates are rounded to a grid that depends only on the candidates; its step is some millionths of
    their range. On the grid the nearest candidates are found exactly; of equally near ones, those with the lowest
    indices. If k > 1, only the order among those found follows rounded distances. So the result for a query cannot
    depend on the other queries, which is required if these are sensitive.

    Distances come from a product in float32, whose last bits may depend on a query's place in it. If its error (Higham,
    Accuracy and Stability of Numerical Algorithms, 2002, §3.1, any order of summation) could decide, they are computed
    again in float64, where a sum of products of whole numbers this small is exact in every order.

    Memory in addition to the arguments: that of one part of the distances, and a copy of the candidates.

    Args:
        queries: float [N, F], on any device.
        candidates: float [M, F], M >= k, on the same device.
        k: number of candidates per query, at least 1.
        exact: if false, rounding may decide, in less time.

    Raises:
        ValueError: if k is below 1 or there are fewer than k candidates.

    Sensitive: the result is as sensitive as the arguments.
    """
    if not 1 <= k <= len(candidates):
        raise ValueError(f"{k} nearest of {len(candidates)} candidates")
    if not len(queries):
        return torch.zeros(0, k, dtype=torch.int64)
    grid = Grid.of(candidates)
    rivals = grid(candidates)
    squares = torch.cat([part.double().square().sum(dim=1) for part in rivals.split(CANDIDATES)])
    halves, farthest = (squares / 2).float(), squares.max().sqrt()
    scores = rivals.new_empty(RECORDS * min(CANDIDATES, len(rivals)))  # new memory for each part would take time
    found, sure = [], []
    with exact_float32():
        for part in queries.split(RECORDS):
            asked = grid(part)
            places, gap = _roughly(asked, rivals, halves, scores, k, k + exact)
            error = 1.1 * ROUNDING * (asked.shape[1] + 8) * farthest * (asked.norm(dim=1) + farthest / 2)
            found.append(places)
            sure.append(gap > 2 * error)
    every = torch.cat(found)
    unsure = (~torch.cat(sure)).nonzero()[:, 0]
    for rows in unsure.split(max(1, EXACT // len(rivals))):
        every[rows] = _exactly(grid(queries[rows]), rivals, squares, k)
    return every.cpu()


@dataclass(frozen=True)
class Grid:
    """Whole numbers for features, with so few bits that float64 holds every sum of their products exactly."""

    step: float
    """The width of a step, a power of two."""
    middle: Tensor
    """The candidates' mean [F], in steps."""
    limit: float
    """The largest number, sixteen times as far from the mean as any candidate; what lies further away is moved to it.
    """

    @classmethod
    def of(cls, candidates: Tensor) -> Grid:
        """The grid for candidates float [M, F]."""
        bits = min(22, (51 - math.ceil(math.log2(max(2, candidates.shape[1])))) // 2)
        mean = candidates.float().mean(dim=0)
        reach = float(max((part - mean).abs().max() for part in candidates.split(CANDIDATES)))
        step = 2.0 ** (math.ceil(math.log2(reach)) + 4 - bits) if reach > 0 else 1.0
        return cls(step, (mean / step).round(), 2.0**bits)

    def __call__(self, features: Tensor) -> Tensor:
        """Features float [N, F] as whole numbers in float32; each row depends only on itself."""
        steps = (features.float() / self.step).round_().sub_(self.middle)
        return steps.nan_to_num_(0.0).clamp_(-self.limit, self.limit)


def _roughly(
    queries: Tensor, candidates: Tensor, halves: Tensor, scores: Tensor, k: int, count: int
) -> tuple[Tensor, Tensor]:
    """The k candidates with the smallest rounded distance, and the gap to the next one.

    The best `count` of each piece of the candidates are found, then the best of those.

    Returns:
        Indices int64 [B, k], and gaps [B] between the distances of the k-th and the next candidate; a gap is inf if
        `count` is k or there is no next candidate.
    """
    values, places, start = [], [], 0
    for piece, half in zip(candidates.split(CANDIDATES), halves.split(CANDIDATES), strict=True):
        here = scores[: len(queries) * len(piece)].view(len(queries), len(piece))
        # |q - c|^2 / 2 without |q|^2 / 2, which is the same for all candidates
        value, place = _least(torch.addmm(half, queries, piece.T, alpha=-1, out=here), min(count, len(piece)))
        values.append(value)
        places.append(place + start)
        start += len(piece)
    value, order = torch.cat(values, dim=1).sort(dim=1, stable=True)
    place = torch.cat(places, dim=1).gather(1, order)[:, :k]
    if count == k or value.shape[1] == k:
        return place, torch.full_like(value[:, 0], math.inf)
    return place, value[:, k] - value[:, k - 1]


def _least(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The `count` smallest values of each row and their indices; overwrites the scores."""
    if count > 2:
        return scores.topk(count, dim=1, largest=False)
    found = []
    for _ in range(count):  # finding the smallest value twice is faster than topk of two
        value, place = scores.min(dim=1, keepdim=True)
        scores.scatter_(1, place, math.inf)
        found.append((value, place))
    return torch.cat([value for value, _ in found], dim=1), torch.cat([place for _, place in found], dim=1)


def _exactly(queries: Tensor, candidates: Tensor, squares: Tensor, k: int) -> Tensor:
    """The k nearest of each query, int64 [B, k]: whole numbers on a grid, without any rounding."""
    products = torch.cat([queries.double() @ piece.double().T for piece in candidates.split(CANDIDATES)], dim=1)
    distances = squares - 2 * products
    last = distances.topk(k, dim=1, largest=False).values.amax(dim=1, keepdim=True)
    within, level = distances < last, distances == last
    within |= level & (level.cumsum(dim=1) <= k - within.sum(dim=1, keepdim=True))
    places = within.nonzero()[:, 1].view(-1, k)
    return places.gather(1, distances.gather(1, places).sort(dim=1, stable=True).indices)
