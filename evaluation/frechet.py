"""Fréchet distance between two sets of features of any kind."""

from __future__ import annotations

import numpy as np


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
