"""Inception Score: how confident a network is about each image, and how many classes it sees in the whole set."""

from __future__ import annotations

import numpy as np
from scipy.special import rel_entr


def inception_score(probabilities: np.ndarray) -> float:
    """exp of the mean KL divergence of p(y|x) from p(y), where p(y) is the mean of p(y|x) over the set.

    It is one value for the whole set. The set is not split into parts: the smaller a part is, the lower is its score.
    Compare sets of equal size only. Only the scored images are needed, no real ones.

    Args:
        probabilities: p(y|x), [N, classes], N >= 1, rows that sum to 1.

    Returns:
        A value in [1, classes]; higher is better.

    Raises:
        ValueError: if the shape is not allowed or a row is not a distribution.

    Source: Salimans et al. 2016.
    """
    probabilities = np.asarray(probabilities, dtype=np.float64)
    if probabilities.ndim != 2 or not len(probabilities):
        raise ValueError(f"probabilities must be [N, classes] with N >= 1, not {list(probabilities.shape)}")
    if not ((probabilities >= 0).all() and np.allclose(probabilities.sum(axis=1), 1)):
        raise ValueError("each row must be a distribution: values >= 0 with sum 1")
    return float(np.exp(rel_entr(probabilities, probabilities.mean(axis=0)).sum(axis=1).mean()))
