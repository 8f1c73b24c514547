"""FID as published numbers are computed: pytorch-fid's distance of pytorch-fid's Inception features."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from pytorch_fid.fid_score import calculate_frechet_distance


class FID(NamedTuple):
    """value: the distance, or None; reason: why there is none, '' where there is one."""

    value: float | None
    reason: str


class Normal(NamedTuple):
    """The normal distribution fitted to features: mean [D] and unbiased covariance [D, D]."""

    mean: np.ndarray
    covariance: np.ndarray

    @classmethod
    def of(cls, features: np.ndarray) -> Normal:
        """Of features [N, D], pooled over all images of a set; as sensitive as they are."""
        return cls(features.mean(axis=0), np.cov(features, rowvar=False))


def fid(one: Normal, other: Normal) -> FID:
    """pytorch-fid's distance of two normal distributions, or the reason why there is none."""
    try:
        return FID(float(calculate_frechet_distance(*one, *other)), "")
    except ValueError as error:  # pytorch-fid refuses a matrix root that is far from real: too few images
        return FID(None, f"too few images for pytorch-fid's matrix root ({error})")
