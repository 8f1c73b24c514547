"""The private step of Private Evolution: a noisy histogram of which candidates the sensitive images are nearest to."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from torch import Tensor

from accounting.access import PrivateAccess
from accounting.mechanisms import GaussianHistogram
from evolution.nearest import nearest


def noisy_histogram(
    features: Sequence[Tensor], candidates: Sequence[Tensor], access: PrivateAccess, *, round: int, neighbours: int = 1
) -> list[np.ndarray]:
    """Noisy votes of the sensitive images for candidates of their category.

    Each image gives 1/sqrt(k) to each of the k = `neighbours` candidates of its category nearest to it, so that adding
    or removing one image changes all histograms together by 1 in L2. Every bin of every category gets noise from
    `access`, of the step `round`.

    Votes are whole numbers in units of 1/sqrt(k), and so is what is returned. The noise, rounded to that grid
    regardless of the votes, is post-processing of the Gaussian mechanism. So the gaps between floating-point numbers
    cannot reveal a vote (Mironov 2012).

    Args:
        features: features of the sensitive images, one tensor float [N_c, F] per category.
        candidates: features of the candidates, one tensor float [M_c, F] per category.
        access: the charged mechanism, which draws the noise.
        round: number of the round, 0 for the first.
        neighbours: k, the number of candidates that an image votes for, at least 1.

    Returns:
        Noisy votes, one array float64 [M_c] per category.

    Raises:
        ValueError: if the charged mechanism is not a Gaussian histogram of sensitivity 1.

    Source: Lin et al. 2024, Algorithm 2.

    Sensitive: reads features of sensitive images; the votes leave this function only with noise.
    """
    mechanism = access.mechanism
    if not isinstance(mechanism, GaussianHistogram) or mechanism.sensitivity != 1:
        raise ValueError(f"Private Evolution needs a GaussianHistogram of sensitivity 1, not {mechanism}")
    counts = [votes(each, near, neighbours) for each, near in zip(features, candidates, strict=True)]
    sizes = [len(count) for count in counts]
    unit = 1 / math.sqrt(neighbours)
    noise = access.whole_noise(step=round, count=sum(sizes), unit=unit)
    parts = np.split(noise, np.cumsum(sizes)[:-1])
    return [(count + part) * unit for count, part in zip(counts, parts, strict=True)]


def votes(features: Tensor, candidates: Tensor, neighbours: int) -> np.ndarray:
    """How many images have each candidate among their nearest, int64 [M].

    Args:
        features: features of the images, float [N, F].
        candidates: features of the candidates, float [M, F].
        neighbours: number of different candidates that an image votes for; if there are fewer, it votes for all.

    Sensitive: as sensitive as the images; never show it without noise.
    """
    found = nearest(features, candidates, min(neighbours, len(candidates)))
    return np.bincount(found.numpy().reshape(-1), minlength=len(candidates))
