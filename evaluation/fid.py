"""Distances and scores from features: Fréchet distance, FID as in published numbers, Inception Score."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from pytorch_fid.fid_score import calculate_frechet_distance
from scipy.special import rel_entr


def frechet_distance(features_a: np.ndarray, features_b: np.ndarray) -> float:
    """Squared Fréchet distance between the normal distributions fitted to two sets of features.

    It is "FID" only if the features are pytorch-fid's Inception features (see `evaluation.fid`). With other features it
    must have another name. Means and unbiased covariances are those of each whole set, pooled over all images.

    Args:
        features_a: [N, D], N >= 2.
        features_b: [M, D], M >= 2.

    Returns:
        A value >= 0.

    Raises:
        ValueError: if a shape is not allowed or a value is not finite.

    Source: Heusel et al. 2017.

    Sensitive: not private if a set is sensitive.
    """
    return gaussian_frechet_distance(*_statistics(features_a), *_statistics(features_b))


def gaussian_frechet_distance(
    mean_a: np.ndarray, covariance_a: np.ndarray, mean_b: np.ndarray, covariance_b: np.ndarray
) -> float:
    """|mean_a - mean_b|^2 + tr(A + B - 2 (A B)^(1/2)) for two normal distributions with covariances A and B.

    The trace of the matrix root is computed as the sum of the singular values of A^(1/2) B^(1/2). This avoids the root
    of A B, which is not symmetric and, with fewer images than features, not of full rank. So no imaginary part has to
    be dropped.

    Args:
        mean_a: [D].
        covariance_a: [D, D].
        mean_b: [D].
        covariance_b: [D, D].

    Returns:
        A value >= 0.
    """
    root = _symmetric_root(covariance_a) @ _symmetric_root(covariance_b)
    overlap = np.linalg.svd(root, compute_uv=False).sum()
    shift = mean_a - mean_b
    return max(0.0, float(shift @ shift + np.trace(covariance_a) + np.trace(covariance_b) - 2 * overlap))


def _statistics(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    features = np.asarray(features, dtype=np.float64)
    if features.ndim != 2 or len(features) < 2:
        raise ValueError(f"features must be [N, D] with N >= 2, not {list(features.shape)}")
    if not np.isfinite(features).all():
        raise ValueError("features must be finite")
    return features.mean(axis=0), np.cov(features, rowvar=False).reshape(features.shape[1], -1)


def _symmetric_root(covariance: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


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
