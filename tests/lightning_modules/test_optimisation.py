"""Learning rates and averages of public training."""

from __future__ import annotations

import copy
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lightning_modules.optimisation import averaged_weights, one_cycle


def rates(steps: int, warm_up: int) -> list[float]:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=2.0)
    schedule = one_cycle(optimizer, steps, warm_up)
    seen = []
    for _ in range(steps):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return seen


def test_it_rises_to_the_peak_and_falls_to_zero() -> None:
    seen = rates(100, 20)
    assert seen[0] == pytest.approx(0.1) and max(seen) == seen[19] == pytest.approx(2.0)
    assert all(a < b for a, b in pairwise(seen[:20]))
    assert all(a > b for a, b in pairwise(seen[20:]))
    assert seen[60] == pytest.approx(1.0)


@pytest.mark.parametrize(("steps", "warm_up"), [(1, 0), (2, 0), (5, 5), (3, 100)])
def test_short_runs_learn_too(steps: int, warm_up: int) -> None:
    assert max(rates(steps, warm_up)) > 0


@settings(max_examples=20)
@given(decay=st.floats(0, 0.9999), values=st.lists(st.floats(-5, 5), min_size=1, max_size=30))
def test_the_average_follows_its_recursion(decay: float, values: list[float]) -> None:
    network = nn.Linear(1, 1, bias=False)
    averaged = averaged_weights(network, decay)
    expected = 0.0
    for count, value in enumerate(values):
        nn.init.constant_(network.weight, value)
        averaged.update_parameters(network)
        effective = min(decay, (1 + count) / (10 + count))
        expected = value if count == 0 else effective * expected + (1 - effective) * value
        assert averaged.module.weight.item() == pytest.approx(expected, abs=1e-4)


def test_a_resumed_average_goes_on_exactly() -> None:
    torch.manual_seed(0)
    network = nn.Linear(4, 4)
    whole = averaged_weights(network, 0.9)
    halves = averaged_weights(network, 0.9)
    for step in range(20):
        nn.init.normal_(network.weight)
        whole.update_parameters(network)
        halves.update_parameters(network)
        if step == 9:
            state = copy.deepcopy(halves.state_dict())
            halves = averaged_weights(nn.Linear(4, 4), 0.9)
            halves.load_state_dict(state)
    assert torch.equal(whole.module.weight, halves.module.weight)


def test_the_average_is_not_trained() -> None:
    averaged = averaged_weights(nn.Linear(2, 2), 0.9)
    assert not any(p.requires_grad for p in averaged.parameters())
