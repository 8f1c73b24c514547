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
    histogram: np.ndarray, public_counts: np.ndarray, embedded: Embedded, sizes: Iterable[int] = SIZES
) -> list[SizedSimilarity]:
    """SDS to the sensitive set of each possible selection, and last of the whole public set (PrivImage Figure 6).

    histogram: noisy counts [rows, public categories], which is all that is taken from the sensitive set: the result may
    be shown. public_counts: images of each public category, [public categories]. Sizes that need more categories than
    there are are left out.
    """
    rows, categories = histogram.shape
    chosen = {
        size: np.concatenate(select_categories(histogram, size))
        for size in sorted(set(sizes))
        if rows * size <= categories
    }
    sensitive = noisy_frequencies(histogram.sum(axis=0))
    return [
        _similarity(size, labels, sensitive, public_counts, embedded)
        for size, labels in [*chosen.items(), (0, np.arange(categories))]
    ]


def _similarity(
    size: int, chosen: np.ndarray, sensitive: np.ndarray, public_counts: np.ndarray, embedded: Embedded
) -> SizedSimilarity:
    counts = np.zeros(len(public_counts))
    counts[chosen] = public_counts[chosen]
    one, other, vectors = sensitive[embedded.labels], counts[embedded.labels], embedded.vectors
    defined = one.any() and other.any()  # not where all that counts is without a vector
    similarity = semantic_distribution_similarity(one, vectors, other, vectors) if defined else None
    return SizedSimilarity(size, len(chosen), float(counts.sum() / public_counts.sum()), similarity)
