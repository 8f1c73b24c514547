"""Nearest neighbours by matrix products, a few records at a time."""

from __future__ import annotations

import torch
from torch import Tensor

RECORDS = 1024  # queries at once
CANDIDATES = 16_384  # candidates at once: with RECORDS, 64 MiB of distances


@torch.inference_mode()
def nearest(queries: Tensor, candidates: Tensor, k: int = 1) -> Tensor:
    """The k candidates nearest to each query by Euclidean distance, nearest first: int64 [N, k] on the CPU.

    queries: float [N, F], on any device; candidates: float [M, F], M >= k, on the same one. Of equally near candidates
    the one with the lowest index comes first; which of them are among k > 1 is not said. As sensitive as its arguments.
    What is found for a query does not depend on how many others there are: all are taken in parts of one size, the last
    one filled up with zeros. Memory beyond the arguments is that of a part. ValueError where there are fewer than k
    candidates.
    """
    if not 1 <= k <= len(candidates):
        raise ValueError(f"{k} nearest of {len(candidates)} candidates")
    halves = [part.square().sum(dim=1) / 2 for part in candidates.split(CANDIDATES)]
    scores = queries.new_empty(RECORDS * min(CANDIDATES, len(candidates)))  # fresh memory for each part would cost time
    found = []
    for part in queries.split(RECORDS):
        full = part.new_zeros(RECORDS, part.shape[1])
        full[: len(part)] = part
        found.append(_of_part(full, candidates, halves, scores, k)[: len(part)].cpu())
    return torch.cat(found) if found else torch.zeros(0, k, dtype=torch.int64)


def _of_part(queries: Tensor, candidates: Tensor, halves: list[Tensor], scores: Tensor, k: int) -> Tensor:
    """The neighbours of one part: the best k of each piece of the candidates, then the best k of those."""
    values, places, start = [], [], 0
    for piece, half in zip(candidates.split(CANDIDATES), halves, strict=True):
        here = scores[: len(queries) * len(piece)].view(len(queries), len(piece))
        # |q - c|^2 / 2 without |q|^2 / 2, which is the same for all candidates
        value, place = _least(torch.addmm(half, queries, piece.T, alpha=-1, out=here), min(k, len(piece)))
        values.append(value)
        places.append(place + start)
        start += len(piece)
    if len(values) == 1:
        return places[0]
    best = _least(torch.cat(values, dim=1), k)[1]
    return torch.cat(places, dim=1).gather(1, best)


def _least(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k least of each row and where they are, in order; of equal ones the first."""
    if k == 1:  # min gives the first of equals, topk any
        value, place = scores.min(dim=1, keepdim=True)
        return value, place
    value, place = scores.topk(k, dim=1, largest=False)
    place, by_place = place.sort(dim=1)
    value, by_value = value.gather(1, by_place).sort(dim=1, stable=True)
    return value, place.gather(1, by_value)
