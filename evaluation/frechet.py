"""Fréchet distance between two sets of features, in whatever features they are."""

from __future__ import annotations

import numpy as np


def frechet_distance(features_a: np.ndarray, features_b: np.ndarray) -> float:
    """Squared Fréchet distance between the normal distributions fitted to two sets of features (Heusel et al. 2017).

    It is "FID" only where the features are pytorch-fid's Inception features (see `evaluation.fid`); anything else must
    be named after its features. Means and unbiased covariances are those of each whole set, pooled over all images.

    features: [N, D] and [M, D], at least two rows each. Returns a value >= 0. Not private where a set is sensitive.
    """
    return gaussian_frechet_distance(*_statistics(features_a), *_statistics(features_b))


def gaussian_frechet_distance(
    mean_a: np.ndarray, covariance_a: np.ndarray, mean_b: np.ndarray, covariance_b: np.ndarray
) -> float:
    """|mean_a - mean_b|^2 + tr(A + B - 2 (A B)^(1/2)) for two normal distributions.

    The trace of the matrix root is the sum of the singular values of A^(1/2) B^(1/2): no root of a product that is
    neither symmetric nor, with fewer images than features, of full rank, and nothing imaginary to throw away.
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
