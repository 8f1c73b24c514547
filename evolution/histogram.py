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
    """Noisy votes of the sensitive images for candidates of their category (Lin et al. 2024, Algorithm 2). SENSITIVE.

    features: those of the sensitive images, float [N_c, F], a tensor a category. candidates: float [M_c, F], likewise.
    Each image gives 1/sqrt(k) to each of the k = `neighbours` candidates of its category nearest to it, so that adding
    or removing one moves all histograms together by 1 in L2. Every bin of every category gets noise from `access`, of
    the step `round`; the votes leave this function with it only.

    Votes are whole numbers in units of 1/sqrt(k), and so is what is released: the noise, rounded to that grid
    whatever the votes are, is post-processing of the Gaussian mechanism, and gaps between floating-point numbers cannot
    betray a vote (Mironov 2012).

    Returns float64 [M_c] a category. ValueError where the mechanism that was paid for is not this one.
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
    """How many images have each candidate among their nearest, int64 [M]. SENSITIVE: never shown without noise.

    An image votes for `neighbours` different candidates, or for all where there are fewer.
    """
    found = nearest(features, candidates, min(neighbours, len(candidates)))
    return np.bincount(found.numpy().reshape(-1), minlength=len(candidates))
