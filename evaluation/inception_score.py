"""Inception Score: how sure a network is of each image, and how many kinds of image it sees in all."""

from __future__ import annotations

import numpy as np
from scipy.special import rel_entr


def inception_score(probabilities: np.ndarray) -> float:
    """exp of the mean KL divergence of p(y|x) from p(y), the mean of p(y|x) over the set (Salimans et al. 2016).

    One value of the whole set: it is not cut into parts, whose scores would be lower the smaller they are. Compare sets
    of equal size only. Touches the scored images alone, no real ones.

    probabilities: [N, classes], N >= 1, rows that sum to 1. Returns a value in [1, classes]; higher is better.
    """
    probabilities = np.asarray(probabilities, dtype=np.float64)
    if probabilities.ndim != 2 or not len(probabilities):
        raise ValueError(f"probabilities must be [N, classes] with N >= 1, not {list(probabilities.shape)}")
    if not ((probabilities >= 0).all() and np.allclose(probabilities.sum(axis=1), 1)):
        raise ValueError("each row must be a distribution: not negative, with sum 1")
    return float(np.exp(rel_entr(probabilities, probabilities.mean(axis=0)).sum(axis=1).mean()))
