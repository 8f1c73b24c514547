import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from configs.errors import UserError
from datamodules.sets.image_set import ImageSet
from semantics.selection import random_categories, select_categories, selected_images, selection_summary


def histograms(low=-20, high=20):
    return st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(0, 5)).flatmap(
        lambda shape: st.tuples(
            arrays(np.int64, (shape[0], shape[0] * shape[1] + shape[2]), elements=st.integers(low, high)),
            st.just(shape[1]),
        )
    )


def brute_force(histogram, k2):
    """Take the largest of all pairs that are still allowed, again and again."""
    rows, categories = histogram.shape
    chosen = [[] for _ in range(rows)]
    while True:
        allowed = [
            (-histogram[row, category], row, category)
            for row in range(rows)
            for category in range(categories)
            if len(chosen[row]) < k2 and not any(category in other for other in chosen)
        ]
        if not allowed:
            return chosen
        _, row, category = min(allowed)
        chosen[row].append(category)


@given(histograms())
def test_best_first_each_category_once(case):
    histogram, k2 = case
    choice = select_categories(histogram, k2)
    assert choice == brute_force(histogram, k2)
    assert [len(row) for row in choice] == [k2] * len(histogram)
    everything = [category for row in choice for category in row]
    assert len(set(everything)) == len(everything)


@given(st.integers(0, 2**32))
def test_no_row_is_favoured_by_its_place(seed):
    rng = np.random.default_rng(seed)
    histogram = rng.permutation(4 * 15).reshape(4, 15)
    order = rng.permutation(4)
    choice = select_categories(histogram, 3)
    assert select_categories(histogram[order], 3) == [choice[row] for row in order]


def test_a_contested_category_goes_to_the_row_that_wants_it_most():
    assert select_categories(np.array([[5, 4, 0], [9, 1, 0]]), 1) == [[1], [0]]


@pytest.mark.parametrize("k2", [0, 4])
def test_impossible_numbers_of_categories_are_refused(k2):
    with pytest.raises(UserError, match=r"selection\.semantics.*Use at most 3"):
        select_categories(np.zeros((3, 11), dtype=np.int64), k2)


def public_set():
    rng = np.random.default_rng(0)
    names = tuple(f"public {i}" for i in range(6))
    return ImageSet(rng.integers(0, 256, (50, 1, 4, 4), dtype=np.uint8), rng.integers(0, 6, 50), names)


def test_selected_images_bear_the_sensitive_label():
    public = public_set()
    selected = selected_images(public, [[4, 1], [0, 5]], ("cat", "dog"))
    assert selected.class_names == ("cat", "dog")
    for label, categories in enumerate([(4, 1), (0, 5)]):
        expected = public.images[np.isin(public.labels, categories)]
        np.testing.assert_array_equal(selected.images[selected.labels == label], expected)


def test_a_single_row_is_unconditional():
    selected = selected_images(public_set(), [[4, 1, 2]], ("cat", "dog"))
    assert set(selected.labels) == {0}
    assert len(selected) == np.isin(public_set().labels, (4, 1, 2)).sum()


def test_summary_names_what_was_chosen():
    histogram = np.array([[0, 7, 0], [3, 0, -2]])
    summary = selection_summary(histogram, [[1], [0]], ("x", "y", "z"), ("cat", "dog"))
    assert summary == {
        "cat": [{"category": "y", "label": 1, "noisy_count": 7}],
        "dog": [{"category": "x", "label": 0, "noisy_count": 3}],
    }
    assert list(selection_summary(histogram[:1], [[1, 0]], ("x", "y", "z"), ("cat", "dog"))) == ["all"]


@settings(max_examples=50)
@given(st.integers(1, 6), st.integers(1, 5), st.integers(0, 20), st.integers(0, 2**31))
def test_random_categories_are_as_many_each_given_once_and_hang_on_the_seed(
    rows: int, k2: int, more: int, seed: int
) -> None:
    categories = rows * k2 + more
    choice = random_categories(rows, categories, k2, seed)
    chosen = [category for row in choice for category in row]
    assert [len(row) for row in choice] == [k2] * rows
    assert len(set(chosen)) == len(chosen) and set(chosen) <= set(range(categories))
    assert choice == random_categories(rows, categories, k2, seed)


def test_random_categories_favour_none() -> None:
    counts = np.zeros((2, 5))
    for seed in range(600):
        for row, categories in enumerate(random_categories(2, 5, 1, seed)):
            counts[row, categories] += 1
    assert (np.abs(counts - 120) < 60).all()
