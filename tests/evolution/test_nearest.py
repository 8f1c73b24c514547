"""Nearest neighbours against a plain search, whatever the sizes of the parts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from evolution import nearest as module
from evolution.nearest import nearest


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    queries=st.integers(0, 30),
    candidates=st.integers(1, 40),
    k=st.integers(1, 5),
    parts=st.sampled_from([(1024, 16_384), (7, 11), (1, 1)]),
)
def test_they_are_those_of_a_plain_search(
    seed: int, queries: int, candidates: int, k: int, parts: tuple[int, int]
) -> None:
    k = min(k, candidates)
    rng = np.random.default_rng(seed)
    x, y = (rng.integers(-4, 5, (count, 3)).astype(np.float32) for count in (queries, candidates))  # many ties
    squared = ((x[:, None] - y[None]) ** 2).sum(axis=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "RECORDS", parts[0])
        patch.setattr(module, "CANDIDATES", parts[1])
        found = nearest(torch.from_numpy(x), torch.from_numpy(y), k).numpy()
    assert found.shape == (queries, k) and found.dtype == np.int64
    assert all(len(set(row)) == k for row in found)
    taken = np.take_along_axis(squared, found, axis=1)
    assert (taken == np.sort(squared, axis=1)[:, :k]).all()
    if k == 1 and queries:
        assert (found[:, 0] == squared.argmin(axis=1)).all()  # of equals the one with the lowest index


def test_a_query_does_not_hang_on_the_others() -> None:
    torch.manual_seed(0)
    queries, candidates = torch.randn(1500, 20), torch.randn(300, 20)
    every = nearest(queries, candidates, 3)
    for kept in (slice(1, None), slice(None, 1030), slice(700, 701)):
        assert torch.equal(nearest(queries[kept], candidates, 3), every[kept])


@pytest.mark.parametrize("k", [0, 4])
def test_as_many_as_there_are_candidates_at_most(k: int) -> None:
    with pytest.raises(ValueError, match=f"{k} nearest of 3"):
        nearest(torch.zeros(2, 1), torch.zeros(3, 1), k)
