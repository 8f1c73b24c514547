import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax
from torchmetrics.image.inception import InceptionScore

from evaluation.inception_score import inception_score


@given(st.integers(1, 30), st.integers(1, 50))
def test_no_idea_of_any_image_is_one(count, classes):
    assert inception_score(np.full((count, classes), 1 / classes)) == pytest.approx(1)


@given(st.integers(1, 20), st.integers(1, 4), st.integers(0, 5))
def test_sure_of_m_kinds_in_equal_numbers_is_m(kinds, each, others):
    assert inception_score(np.tile(np.eye(kinds, kinds + others), (each, 1))) == pytest.approx(kinds)


def test_one_kind_alone_is_one():
    assert inception_score(np.tile([0.2, 0.8], (5, 1))) == pytest.approx(1)


@given(st.integers(0, 2**32))
def test_equals_torchmetrics(seed):
    logits = np.random.default_rng(seed).normal(0, 3, size=(40, 12))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = InceptionScore(torch.nn.Identity(), splits=1)
        theirs.update(torch.from_numpy(logits))
        expected = float(theirs.compute()[0])
    assert inception_score(softmax(logits, axis=1)) == pytest.approx(expected)


@pytest.mark.parametrize("rows", [np.zeros((0, 3)), np.ones(3), np.ones((2, 3)), [[1.5, -0.5]]])
def test_what_is_no_distribution_is_refused(rows):
    with pytest.raises(ValueError):
        inception_score(rows)
