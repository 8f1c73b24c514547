"""From noisy votes to parents. Post-processing: nothing here touches sensitive data."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from torch import Tensor

from configs.errors import UserError
from configs.evolution import Evolution
from evolution.nearest import nearest

PART = 4096  # averages computed at once
KEPT = 4  # "rank" makes parents of one candidate in four


def smoothed(votes: np.ndarray, candidates: Tensor, neighbours: int, queries: Tensor | None = None) -> np.ndarray:
    """Votes averaged over the `neighbours` candidates most similar to each query: float64 [N] or [N, C].

    Similar candidates have similar votes, and averaging over m of them divides the noise by sqrt(m).

    Args:
        votes: float64 [M] or [M, C], the votes of each candidate.
        candidates: features of the candidates, float [M, F].
        neighbours: number of candidates to average over, at least 1; at most all of them are used.
        queries: features float [N, F]; default: those of the candidates.
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
    """The share of each candidate in the next population: its votes above a threshold, scaled to sum 1.

    If no candidate has more votes than the threshold, the votes above zero count; if there are no such votes, all
    candidates have the same share.

    Args:
        histogram: noisy votes, float64 [M].
        threshold: in votes.
    """
    for level in (threshold, 0.0):
        above = np.clip(histogram - level, 0, None)
        if above.sum() > 0:
            return above / above.sum()
    return np.full(len(histogram), 1 / len(histogram))


def drawn(shares: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Indices of parents, by systematic sampling.

    Each candidate is chosen as often as its share says, give or take one.

    Args:
        shares: float64 [M], sum 1.
        count: number of parents.
        rng: source of all randomness.

    Returns:
        Indices [count].
    """
    reached = np.cumsum(shares)
    places = (rng.random() + np.arange(count)) / count * reached[-1]
    # rounding may move a place past the end, to candidates with share 0
    return np.minimum(np.searchsorted(reached, places, side="right"), np.flatnonzero(shares)[-1])


def ranked(shares: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Indices of the candidates with the largest shares, each chosen equally often.

    At most the best quarter is chosen, and no candidate with share 0.

    Args:
        shares: float64 [M], sum 1.
        count: number of parents.
        rng: not used.

    Returns:
        Indices [count].
    """
    best = np.argsort(-shares, kind="stable")[: max(1, len(shares) // KEPT)]
    return np.resize(best[shares[best] > 0], count)


RESAMPLING: dict[str, Callable[[np.ndarray, int, np.random.Generator], np.ndarray]] = {"sample": drawn, "rank": ranked}
"""Ways to choose parents, by name: (shares [M], count, rng) -> indices [count]."""
