"""Fréchet distance, FID and Inception Score against closed forms and other implementations."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_fid.fid_score import calculate_frechet_distance
from scipy.special import softmax
from torchmetrics.image.inception import InceptionScore

from evaluation.fid import Normal, fid, frechet_distance, gaussian_frechet_distance, inception_score


def features(seed, count, size):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, size)) @ rng.normal(size=(size, size)) + rng.normal(size=size)


@pytest.mark.filterwarnings("ignore:The `disp` argument:DeprecationWarning")  # pytorch-fid's call of SciPy
@settings(max_examples=30)
@given(st.integers(0, 2**32), st.integers(2, 8))
def test_agrees_with_the_matrix_root_and_with_pytorch_fid(seed, size):
    a, b = features(seed, 60, size), features(seed + 1, 40, size)
    covariance_a, covariance_b = np.cov(a.T), np.cov(b.T)
    root = scipy.linalg.sqrtm(covariance_a @ covariance_b).real
    shift = a.mean(0) - b.mean(0)
    expected = shift @ shift + np.trace(covariance_a + covariance_b - 2 * root)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-6, abs=1e-6)
    theirs = calculate_frechet_distance(a.mean(0), covariance_a, b.mean(0), covariance_b)
    assert frechet_distance(a, b) == pytest.approx(theirs, rel=1e-6, abs=1e-6)


@given(st.lists(st.tuples(*[st.floats(0, 50)] * 2, *[st.floats(-9, 9)] * 2), min_size=1, max_size=6))
def test_closed_form_for_independent_normals(coordinates):
    std_a, std_b, mean_a, mean_b = np.array(coordinates).T
    distance = gaussian_frechet_distance(mean_a, np.diag(std_a**2), mean_b, np.diag(std_b**2))
    assert distance == pytest.approx(((mean_a - mean_b) ** 2 + (std_a - std_b) ** 2).sum(), rel=1e-8, abs=1e-8)


def test_more_features_than_images():
    a, b = features(1, 20, 64), features(2, 15, 64)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-9)
    rotation = np.linalg.qr(np.random.default_rng(3).normal(size=(64, 64)))[0]
    assert frechet_distance(a @ rotation, b @ rotation) == pytest.approx(frechet_distance(a, b), rel=1e-9)


def test_large_common_offset_does_not_drown_the_distance():
    a, b = features(1, 500, 4), features(2, 500, 4)
    assert frechet_distance(a + 1e6, b + 1e6) == pytest.approx(frechet_distance(a, b), rel=1e-5)


@pytest.mark.parametrize("bad", [np.zeros((1, 3)), np.zeros(3), np.full((4, 3), np.nan)])
def test_impossible_features_are_refused(bad):
    with pytest.raises(ValueError, match="features"):
        frechet_distance(bad, np.ones((4, 3)))


def test_it_is_the_frechet_distance():
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(60, 5)), rng.normal(0.5, 2, size=(80, 5))
    found = fid(Normal.of(one), Normal.of(other))
    assert found.reason == ""
    assert found.value == pytest.approx(frechet_distance(one, other), rel=1e-6)


def test_a_set_and_itself():
    normal = Normal.of(np.random.default_rng(0).normal(size=(60, 5)))
    assert fid(normal, normal).value == pytest.approx(0, abs=1e-9)


def test_a_root_that_is_not_real_is_a_reason():
    """Not a covariance, but what rounding can make of one from far fewer images than features."""
    found = fid(Normal(np.zeros(2), np.diag([-1.0, 1.0])), Normal(np.zeros(2), np.eye(2)))
    assert found.value is None
    assert "too few images" in found.reason


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
