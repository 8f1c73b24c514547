"""Nearest neighbours compared with a plain search, for any sizes of the parts."""

from __future__ import annotations

import math

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


@pytest.mark.slow
@pytest.mark.parametrize("features", [9, 20, 27, 81, 225])
@pytest.mark.parametrize("candidates", [2, 5, 8, 11, 300])
def test_a_query_does_not_hang_on_the_others(features: int, candidates: int) -> None:
    """Not even if two candidates are equally near: in these shapes the last bits of a product depend on the row."""
    torch.manual_seed(features)
    rivals = torch.randn(candidates, features)
    rivals[2:] += 5
    middle = rivals[:2].mean(dim=0, dtype=torch.float64)
    across = (rivals[0] - rivals[1]).double()
    away = torch.randn(1500, features).double() / 8
    queries = (middle + away - (away @ across / across.square().sum())[:, None] * across).float()
    for k in (1, min(3, candidates)):
        every = nearest(queries, rivals, k).sort(dim=1).values
        for kept in (slice(1, None), slice(3, 1030), slice(700, 701)):
            assert torch.equal(nearest(queries[kept], rivals, k).sort(dim=1).values, every[kept])
    assert {0, 1} <= set(nearest(queries, rivals).flatten().tolist())  # rounding to the grid decides, either way


def test_equal_rows_find_the_first_of_equal_candidates() -> None:
    torch.manual_seed(0)
    rivals = torch.randn(3, 134).repeat(3, 1)
    found = nearest(torch.randn(1, 134).repeat(1500, 1), rivals, 2)
    first = int(found[0, 0])
    assert first < 3 and torch.equal(found, torch.tensor([[first, first + 3]]).expand(1500, 2))


@settings(max_examples=30)
@given(
    seed=st.integers(0, 10**6),
    features=st.integers(1, 600),
    candidates=st.integers(2, 40),
    scale=st.sampled_from([1e-6, 1.0, 1e5]),
    offset=st.sampled_from([0.0, 3.0]),
)
def test_the_grid_is_fine_enough_and_float64_exact_on_it(
    seed: int, features: int, candidates: int, scale: float, offset: float
) -> None:
    generator = torch.Generator().manual_seed(seed)
    rivals = (torch.randn(candidates, features, generator=generator) + offset) * scale
    queries = (torch.randn(20, features, generator=generator) + offset) * scale
    grid = module.Grid.of(rivals)
    whole = [[int(value) for value in row] for row in grid(queries).tolist()]
    rows = [[int(value) for value in row] for row in grid(rivals).tolist()]
    distances = [
        [sum(c * c for c in row) - 2 * sum(a * c for a, c in zip(q, row, strict=True)) for row in rows] for q in whole
    ]
    assert max(abs(value) for row in distances for value in row) < 2**53
    assert nearest(queries, rivals)[:, 0].tolist() == [row.index(min(row)) for row in distances]
    spread = torch.cdist(queries.double(), rivals.double())
    taken = spread.gather(1, nearest(queries, rivals))[:, 0]
    inside = (grid(queries).abs() < grid.limit).all(dim=1)
    assert (taken <= spread.amin(dim=1) + 1e-4 * spread.max())[inside].all() and inside.any()


def test_what_is_no_number_or_far_away_votes_like_any_other() -> None:
    rivals = torch.tensor([[0.0, 0.0], [1.0, 1.0]])
    far = torch.tensor([[math.nan, 0.0], [math.inf, 1.0], [1e30, 1e30], [-1e30, 0.0]])
    assert nearest(far, rivals).flatten().tolist()[1:] == [1, 1, 0]


@pytest.mark.parametrize("k", [0, 4])
def test_as_many_as_there_are_candidates_at_most(k: int) -> None:
    with pytest.raises(ValueError, match=f"{k} nearest of 3"):
        nearest(torch.zeros(2, 1), torch.zeros(3, 1), k)
