import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from datamodules.sets.image_set import ImageSet, balanced_sample
from semantics.by_name import matching_categories, public_only_set


def labelled(labels, names):
    labels = np.asarray(labels, dtype=np.int64)
    images = np.arange(len(labels), dtype=np.uint8)[:, None, None, None] * np.ones((1, 1, 4, 4), dtype=np.uint8)
    return ImageSet(images, labels, names)


def test_names_match_whole_and_in_either_case():
    assert matching_categories(("Cat", "cats", "DOG", "horse"), ("dog", "bird", "cat")) == {2: 0, 0: 2}
    assert matching_categories(("Gamma", "gamma"), ("gamma",)) == {1: 0}
    assert matching_categories(("Gamma", "gamma"), ("gamma", "Gamma")) == {1: 0, 0: 1}
    assert matching_categories(("a",), ("b",)) == {}


def test_public_only_keeps_and_relabels_the_matches():
    public = labelled([0, 1, 2, 1, 2, 0], ("Cat", "tree", "dog"))
    kept = public_only_set(public, ("dog", "cat"))
    assert kept.class_names == ("dog", "cat")
    np.testing.assert_array_equal(kept.images[:, 0, 0, 0], [0, 2, 4, 5])
    np.testing.assert_array_equal(kept.labels, [1, 0, 0, 1])
    assert public_only_set(public, ("fish",)) is None


@given(st.lists(st.integers(0, 3), min_size=1, max_size=60), st.integers(1, 60), st.integers(0, 99))
def test_sample_is_as_balanced_as_can_be(labels, count, seed):
    images = labelled(labels, ("a", "b", "c", "d"))
    sample = balanced_sample(images, count, seed)
    assert len(sample) == min(count, len(labels))
    drawn = sample.images[:, 0, 0, 0]
    assert len(set(drawn.tolist())) == len(sample)
    np.testing.assert_array_equal(images.labels[drawn], sample.labels)
    there, taken = np.bincount(labels, minlength=4), np.bincount(sample.labels, minlength=4)
    unexhausted = taken[taken < there]
    assert not len(unexhausted) or taken.max() <= unexhausted.min() + 1
