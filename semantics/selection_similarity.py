"""SDS of selections of every size, from the one noisy histogram: post-processing, at no privacy cost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from semantics.selection import select_categories
from semantics.similarity import noisy_frequencies, semantic_distribution_similarity

SIZES = (1, 2, 5, 10, 20, 50)  # public categories per sensitive one


@dataclass(frozen=True)
class Embedded:
    """Vectors of public categories: vectors float64 [K, D]; labels: which K categories of the public set they are."""

    vectors: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class SizedSimilarity:
    """SDS of the selection of `semantics` categories per row, None where it is undefined; 0: the whole public set.

    categories: how many it has in all; share: of the public images, in [0, 1].
    """

    semantics: int
    categories: int
    share: float
    similarity: float | None


def similarities_by_size(
    histogram: np.ndarray,
    public_counts: np.ndarray,
    embedded: Embedded,
    sizes: Iterable[int] = SIZES,
    described: tuple[np.ndarray, np.ndarray] | None = None,
) -> list[SizedSimilarity]:
    """SDS to the sensitive set of each possible selection, and last of the whole public set (PrivImage Figure 6).

    histogram: noisy counts [rows, public categories], which is all that is taken from the sensitive set: the result may
    be shown. public_counts: images of each public category, [public categories]. described: frequencies [S] and vectors
    [S, D] of what the sensitive set is known to show, in place of the histogram's categories; the result is then as
    private as they are. Sizes that need more categories than there are are left out.
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
    chosen: np.ndarray,
    sensitive: tuple[np.ndarray, np.ndarray],
    public_counts: np.ndarray,
    embedded: Embedded,
) -> SizedSimilarity:
    counts = np.zeros(len(public_counts))
    counts[chosen] = public_counts[chosen]
    frequencies, vectors = sensitive
    other = counts[embedded.labels]
    defined = frequencies.any() and other.any()  # not where all that counts is without a vector
    similarity = semantic_distribution_similarity(frequencies, vectors, other, embedded.vectors) if defined else None
    return SizedSimilarity(size, len(chosen), float(counts.sum() / public_counts.sum()), similarity)
