"""The noisy histogram: one record's part in it, its noise, its cost."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from dp_accounting import GaussianDpEvent, SelfComposedDpEvent
from dp_accounting.pld import PLDAccountant
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from accounting.composition import epsilon
from accounting.gaussian import gaussian_epsilon
from accounting.mechanisms import GaussianHistogram, GaussianQuery
from evolution.histogram import noisy_histogram, votes
from tests.accounting.reserved import reserved

CATEGORIES = 3
VOTES = GaussianHistogram(name="private evolution", noise_multiplier=3.0, rounds=2)


def features(counts: list[int], seed: int) -> list[Tensor]:
    """Random features, with the given number for each category."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(count, 4, generator=generator) for count in counts]


@settings(max_examples=50)
@given(
    records=st.lists(st.integers(0, 20), min_size=CATEGORIES, max_size=CATEGORIES),
    candidates=st.lists(st.integers(1, 9), min_size=CATEGORIES, max_size=CATEGORIES),
    neighbours=st.integers(1, 4),
    removed=st.integers(0, CATEGORIES - 1),
    seed=st.integers(0, 10**6),
    any_candidate=st.booleans(),
)
def test_one_record_moves_it_by_at_most_1_in_l2(
    records: list[int], candidates: list[int], neighbours: int, removed: int, seed: int, any_candidate: bool
) -> None:
    records[removed] += 1
    sensitive, population = features(records, seed), features(candidates, seed + 1)
    if any_candidate:  # of every category, as with vote_for="any"
        population = [torch.cat(population)] * len(population)
    fewer = [part[1:] if i == removed else part for i, part in enumerate(sensitive)]
    with tempfile.TemporaryDirectory() as folder:
        asked = [
            noisy_histogram(
                each, population, reserved(VOTES, Path(folder) / str(i)), round=1, neighbours=neighbours
            )  # a known key: the same noise
            for i, each in enumerate((sensitive, fewer))
        ]
    change = np.concatenate([one - other for one, other in zip(*asked, strict=True)])
    expected = min(neighbours, len(population[removed])) / neighbours
    assert np.square(change).sum() == pytest.approx(expected, abs=1e-9) and expected <= 1
    assert all((one == other).all() for i, (one, other) in enumerate(zip(*asked, strict=True)) if i != removed)


def test_every_bin_is_noised_as_it_was_paid_for(tmp_path: Path) -> None:
    empty = [torch.zeros(0, 4)] * 2
    population = [torch.zeros(20_000, 4), torch.zeros(20_000, 4)]
    mechanism = GaussianHistogram(name="private evolution", noise_multiplier=50.0, rounds=2)
    access = reserved(mechanism, tmp_path / "run", insecure=False)  # one start, as the rounds of a run have
    first, second = (noisy_histogram(empty, population, access, round=round) for round in (0, 1))
    for part in (*first, *second):
        assert part.std() == pytest.approx(50.0, rel=0.03) and abs(part.mean()) < 2
        assert (part == np.rint(part)).all()  # on a fixed grid
    assert abs(np.corrcoef(first[0], second[0])[0, 1]) < 0.03 and abs(np.corrcoef(first[0], first[1])[0, 1]) < 0.03


def test_votes_are_for_the_nearest() -> None:
    counts = votes(torch.tensor([[0.1], [0.2], [5.0]]), torch.tensor([[0.0], [1.0], [4.0]]), 1)
    assert counts.tolist() == [2, 0, 1]
    assert votes(torch.tensor([[0.1]]), torch.tensor([[0.0], [1.0], [4.0]]), 2).tolist() == [1, 1, 0]
    assert votes(torch.tensor([[0.1]]), torch.tensor([[0.0]]), 2).tolist() == [1]


def test_another_mechanism_does_not_pay_for_it(tmp_path: Path) -> None:
    data, population = features([2], 0), features([2], 1)
    for mechanism in (
        GaussianQuery(name="private evolution", noise_multiplier=3.0, sensitivity=1.0),
        GaussianHistogram(name="private evolution", noise_multiplier=3.0, rounds=2, sensitivity=0.5),
    ):
        with pytest.raises(ValueError, match="GaussianHistogram of sensitivity 1"):
            noisy_histogram(data, population, reserved(mechanism, tmp_path / mechanism.kind), round=0)


@settings(max_examples=15)
@given(rounds=st.integers(1, 20), multiplier=st.floats(1, 60), accountant=st.sampled_from(["rdp", "prv"]))
def test_rounds_compose_to_the_closed_form(rounds: int, multiplier: float, accountant: str) -> None:
    mechanism = GaussianHistogram(name="private evolution", noise_multiplier=multiplier, rounds=rounds)
    found = epsilon([mechanism], 1e-5, accountant)
    assert found == pytest.approx(gaussian_epsilon(math.sqrt(rounds) / multiplier, 1e-5), rel=1e-9)
    reference = PLDAccountant(value_discretization_interval=1e-3)
    reference.compose(SelfComposedDpEvent(GaussianDpEvent(multiplier), rounds))
    assert found == pytest.approx(reference.get_epsilon(1e-5), rel=5e-3, abs=3e-3)
