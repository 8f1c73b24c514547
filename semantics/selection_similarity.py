"""SDS of selections of every size, from one noisy histogram: post-processing, without privacy cost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semantics.selection import select_categories
from semantics.similarity import noisy_frequencies, semantic_distribution_similarity

SIZES = (1, 2, 5, 10, 20, 50)  # public categories per sensitive one
Semantics = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Frequencies [S] and vectors [S, D] of semantics."""


@dataclass(frozen=True)
class Embedded:
    """Vectors of public categories."""

    vectors: NDArray[np.float64]
    """[K, D]."""
    labels: NDArray[np.int64]
    """[K]: which categories of the public set the vectors belong to."""


@dataclass(frozen=True)
class SizedSimilarity:
    """SDS of a selection of a certain size."""

    semantics: int
    """Public categories per row; 0 for the whole public set."""
    categories: int
    """Number of selected public categories."""
    share: float
    """Selected share of the public images, in [0, 1]."""
    similarity: float | None
    """SDS in [-1, 1]; None if it is undefined."""


def similarities_by_size(
    histogram: NDArray[Any],
    public_counts: NDArray[Any],
    embedded: Embedded,
    sizes: Iterable[int] = SIZES,
    described: Semantics | None = None,
) -> list[SizedSimilarity]:
    """SDS to the sensitive set of each possible selection and, as the last one, of the whole public set.

    Args:
        histogram: noisy counts [rows, public categories].
        public_counts: number of images of each public category, [public categories].
        embedded: vectors of public categories.
        sizes: public categories per row, each >= 1; sizes that need more categories than the public set has are
            ignored.
        described: frequencies [S] and vectors [S, D] of what the sensitive set is known to show (default: the
            categories of the histogram).

    Source: PrivImage Figure 6.

    Sensitive: the histogram is all that is taken from the sensitive set, so the result may be shown. With `described`
    the result is as private as `described`.
    """
    rows, categories = histogram.shape
    chosen = {
        size: np.concatenate(select_categories(histogram, size))
        for size in sorted(set(sizes))
        if rows * size <= categories
    }
    asked = noisy_frequencies(histogram.sum(axis=0))[embedded.labels], embedded.vectors
    return [
        _similarity(size, labels, described or asked, public_counts, embedded)
        for size, labels in [*chosen.items(), (0, np.arange(categories))]
    ]


def _similarity(
    size: int,
    chosen: NDArray[np.int64],
    sensitive: Semantics,
    public_counts: NDArray[Any],
    embedded: Embedded,
) -> SizedSimilarity:
    counts = np.zeros(len(public_counts))
    counts[chosen] = public_counts[chosen]
    frequencies, vectors = sensitive
    other = counts[embedded.labels]
    defined = frequencies.any() and other.any()  # undefined if no category that counts has a vector
    similarity = semantic_distribution_similarity(frequencies, vectors, other, embedded.vectors) if defined else None
    return SizedSimilarity(size, len(chosen), float(counts.sum() / public_counts.sum()), similarity)
