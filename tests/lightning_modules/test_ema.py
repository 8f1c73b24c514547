"""Moving averages of weights: their recursion, and how they go on."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lightning_modules.ema import private_ema, public_ema


@settings(max_examples=20)
@given(decay=st.floats(0, 0.9999), values=st.lists(st.floats(-5, 5), min_size=1, max_size=30))
def test_the_public_average_follows_its_recursion(decay: float, values: list[float]) -> None:
    network = nn.Linear(1, 1, bias=False)
    averaged = public_ema(network, decay)
    expected = 0.0
    for count, value in enumerate(values):
        nn.init.constant_(network.weight, value)
        averaged.update_parameters(network)
        effective = min(decay, (1 + count) / (10 + count))
        expected = value if count == 0 else effective * expected + (1 - effective) * value
        assert averaged.module.weight.item() == pytest.approx(expected, abs=1e-4)


@settings(max_examples=20)
@given(decay=st.floats(0, 0.9999), values=st.lists(st.floats(-5, 5), min_size=2, max_size=30))
def test_the_private_average_begins_with_the_weights_that_are_there(decay: float, values: list[float]) -> None:
    network = nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, values[0])
    averaged, expected = private_ema(network, decay), values[0]
    for value in values[1:]:
        nn.init.constant_(network.weight, value)
        averaged.update_parameters(network)
        expected = decay * expected + (1 - decay) * value
        assert averaged.module.weight.item() == pytest.approx(expected, abs=1e-4)


def test_a_resumed_average_goes_on_exactly() -> None:
    torch.manual_seed(0)
    network = nn.Linear(4, 4)
    whole = public_ema(network, 0.9)
    halves = public_ema(network, 0.9)
    for step in range(20):
        nn.init.normal_(network.weight)
        whole.update_parameters(network)
        halves.update_parameters(network)
        if step == 9:
            state = copy.deepcopy(halves.state_dict())
            halves = public_ema(nn.Linear(4, 4), 0.9)
            halves.load_state_dict(state)
    assert torch.equal(whole.module.weight, halves.module.weight)


@pytest.mark.parametrize("ema", [public_ema, private_ema])
def test_the_average_is_not_trained(ema) -> None:
    averaged = ema(nn.Linear(2, 2), 0.9)
    assert not any(p.requires_grad for p in averaged.parameters())
