"""FID as in published numbers: pytorch-fid's distance of pytorch-fid's Inception features."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from pytorch_fid.fid_score import calculate_frechet_distance


class FID(NamedTuple):
    """An FID, or the reason why it cannot be computed."""

    value: float | None
    """The distance; None if it cannot be computed."""
    reason: str
    """Why `value` is None; '' otherwise."""


class Normal(NamedTuple):
    """The normal distribution fitted to features; as sensitive as they are."""

    mean: np.ndarray
    """[D]."""
    covariance: np.ndarray
    """[D, D], unbiased."""

    @classmethod
    def of(cls, features: np.ndarray) -> Normal:
        """The fit to features [N, D], pooled over all images of a set."""
        return cls(features.mean(axis=0), np.cov(features, rowvar=False))


def fid(one: Normal, other: Normal) -> FID:
    """pytorch-fid's distance of two normal distributions, or the reason why it cannot be computed."""
    try:
        return FID(float(calculate_frechet_distance(*one, *other)), "")
    except ValueError as error:  # pytorch-fid refuses a matrix root that is far from real: too few images
        return FID(None, f"too few images for pytorch-fid's matrix root ({error})")
