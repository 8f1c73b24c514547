"""From noisy votes to parents."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from evolution.resampling import RESAMPLING, drawn, ranked, smoothed, surplus

VOTES = arrays(np.float64, st.integers(1, 30), elements=st.floats(-1e6, 1e6))


@given(VOTES, st.floats(0, 1e7))
def test_shares_are_shares_whatever_the_votes(votes: np.ndarray, threshold: float) -> None:
    shares = surplus(votes, threshold)
    assert np.isfinite(shares).all() and (shares >= 0).all() and shares.sum() == pytest.approx(1)
    above = votes > threshold
    if (votes - threshold)[above].sum() > 0:
        assert not shares[~above].any()
    elif not (votes > 0).any():
        assert np.allclose(shares, 1 / len(votes))  # nobody was voted for: all alike
    else:
        assert not shares[votes <= 0].any()


@given(VOTES, st.integers(1, 200), st.integers(0, 10**6), st.sampled_from(sorted(RESAMPLING)))
def test_parents_are_as_many_as_asked_and_have_a_share(votes: np.ndarray, count: int, seed: int, name: str) -> None:
    shares = surplus(votes, 0.0)
    parents = RESAMPLING[name](shares, count, np.random.default_rng(seed))
    assert parents.shape == (count,) and parents.min() >= 0 and parents.max() < len(votes)
    if name == "sample":
        assert (shares[parents] > 0).all()
        assert (np.abs(np.bincount(parents, minlength=len(votes)) - count * shares) <= 1 + 1e-9).all()


def test_rank_keeps_the_best_quarter_each_as_often_and_none_without_a_share() -> None:
    rng = np.random.default_rng(0)
    assert ranked(np.array([0.1, 0.4, 0, 0.3, 0, 0, 0.2, 0]), 6, rng).tolist() == [1, 3, 1, 3, 1, 3]
    assert ranked(np.array([0, 0, 0, 1.0, 0, 0, 0, 0]), 4, rng).tolist() == [3, 3, 3, 3]
    assert ranked(np.array([0.4, 0.6]), 3, rng).tolist() == [1, 1, 1]


def test_draws_follow_the_shares() -> None:
    shares = np.array([0.0, 0.25, 0.0, 0.75, 0.0])
    counts = np.bincount(drawn(shares, 1000, np.random.default_rng(0)), minlength=5)
    assert counts.tolist() == [0, 250, 0, 750, 0]


def test_noise_is_averaged_over_candidates_that_are_alike() -> None:
    rng = np.random.default_rng(0)
    places = torch.from_numpy(rng.uniform(0, 1, (4000, 1))).float()
    truth = np.where(places[:, 0].numpy() > 0.5, 10.0, 0.0)
    noisy = truth + rng.normal(0, 5, 4000)
    averaged = smoothed(noisy, places, 100)
    assert np.abs(averaged - truth).mean() < 0.2 * np.abs(noisy - truth).mean()
    assert smoothed(noisy, places, 1) is noisy
    assert np.allclose(smoothed(noisy[:5], places[:5], 100), noisy[:5].mean())
