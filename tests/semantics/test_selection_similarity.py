import numpy as np
import pytest

from semantics.selection import select_categories
from semantics.selection_similarity import Embedded, similarities_by_size
from semantics.similarity import noisy_frequencies, semantic_distribution_similarity

RNG = np.random.default_rng(0)
HISTOGRAM = RNG.integers(-20, 100, size=(3, 31))
COUNTS = RNG.integers(1, 50, size=31)
VECTORS = RNG.normal(size=(31, 6))
ALL = Embedded(VECTORS, np.arange(31))


def test_every_size_that_the_public_categories_allow():
    found = similarities_by_size(HISTOGRAM, COUNTS, ALL)
    assert [row.semantics for row in found] == [1, 2, 5, 10, 0]
    assert [row.categories for row in found] == [3, 6, 15, 30, 31]
    shares = [row.share for row in found]
    assert shares == sorted(shares) and shares[-1] == 1


def test_equals_the_similarity_of_the_selection_itself():
    sensitive = noisy_frequencies(HISTOGRAM.sum(axis=0))
    for row in similarities_by_size(HISTOGRAM, COUNTS, ALL, (7, 4, 7)):
        chosen = np.concatenate(select_categories(HISTOGRAM, row.semantics)) if row.semantics else np.arange(31)
        expected = semantic_distribution_similarity(sensitive, VECTORS, COUNTS[chosen], VECTORS[chosen])
        assert row.similarity == pytest.approx(expected, abs=1e-12)
        assert row.share == pytest.approx(COUNTS[chosen].sum() / COUNTS.sum())


def test_categories_like_the_sensitive_ones_are_nearer_than_the_whole_set():
    """Half of the public categories look the other way; the sensitive images resemble only the first ones."""
    vectors = np.repeat([[1.0, 0.0], [-1.0, 0.1]], 10, axis=0)
    histogram = np.concatenate([np.full((1, 10), 50), np.zeros((1, 10), int)], axis=1)
    found = similarities_by_size(histogram, np.ones(20), Embedded(vectors, np.arange(20)))
    values = [row.similarity for row in found]  # 1, 2, 5, 10, 20 categories, all
    np.testing.assert_allclose(values[:4], 1)
    assert values[4] == pytest.approx(values[5]) and values[5] < 0.01


def test_categories_without_a_vector_are_left_out():
    best = int(np.argmax(HISTOGRAM[0]))
    without = np.delete(np.arange(31), best)
    one, *_, whole = similarities_by_size(HISTOGRAM[:1], COUNTS, Embedded(VECTORS[without], without))
    assert (one.categories, one.similarity) == (1, None)
    sensitive = noisy_frequencies(HISTOGRAM[0])[without]
    expected = semantic_distribution_similarity(sensitive, VECTORS[without], COUNTS[without], VECTORS[without])
    assert whole.similarity == pytest.approx(expected)
