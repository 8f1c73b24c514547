"""From noisy votes to parents. Post-processing: nothing here touches sensitive data."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from torch import Tensor

from configs.errors import UserError
from configs.evolution import Evolution
from evolution.nearest import nearest

PART = 4096  # averages at once
KEPT = 4  # "rank" makes parents of one candidate in so many


def smoothed(votes: np.ndarray, candidates: Tensor, neighbours: int, queries: Tensor | None = None) -> np.ndarray:
    """Votes averaged over the `neighbours` candidates most like each query; float64, a row a query.

    votes: float64 [M] or [M, C], those of each of the candidates [M, F]. queries: float [N, F], the candidates
    themselves unless given. Candidates that are alike have like votes, and noise that is averaged over m is less
    by sqrt(m).
    """
    count = min(neighbours, len(candidates))
    if queries is None and count <= 1:
        return votes
    asked = candidates if queries is None else queries
    near = (nearest(part, candidates, count, exact=False).numpy() for part in asked.split(PART))
    return np.concatenate([votes[places].mean(axis=1) for places in near])


def check_average(settings: Evolution, candidates: int) -> None:
    """Averages of votes must be able to tell one candidate from another, or the budget is spent on nothing.

    candidates: those that an image chooses from.
    """
    if 1 < settings.smooth >= candidates:
        raise UserError(
            f"evolution.smooth: got {settings.smooth}, but an image votes for {candidates} candidates in all "
            "(evolution.population, of every category with vote_for=any; that of the other run with reuse): an "
            "average over all of them is the same for each, and the votes would say nothing. Allowed is less; a small "
            "part is what tells them apart."
        )


def surplus(histogram: np.ndarray, threshold: float) -> np.ndarray:
    """The share of each candidate in the next population: its votes above a threshold, scaled to sum to 1.

    Where none is above it, the votes above zero; where none is, all alike.
    """
    for level in (threshold, 0.0):
        above = np.clip(histogram - level, 0, None)
        if above.sum() > 0:
            return above / above.sum()
    return np.full(len(histogram), 1 / len(histogram))


def drawn(shares: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Indices of parents, each candidate as often as its share says, up to one more or less (systematic sampling)."""
    reached = np.cumsum(shares)
    places = (rng.random() + np.arange(count)) / count * reached[-1]
    # rounding may take a place beyond the end, where there may be candidates without a share
    return np.minimum(np.searchsorted(reached, places, side="right"), np.flatnonzero(shares)[-1])


def ranked(shares: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Indices of the candidates with the greatest shares, each as often as the others: the best quarter at most.

    None without a share is among them.
    """
    best = np.argsort(-shares, kind="stable")[: max(1, len(shares) // KEPT)]
    return np.resize(best[shares[best] > 0], count)


RESAMPLING: dict[str, Callable[[np.ndarray, int, np.random.Generator], np.ndarray]] = {"sample": drawn, "rank": ranked}
"""Ways to choose parents by name: (shares [M], count, rng) -> indices [count]."""
