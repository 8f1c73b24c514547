"""Averaged weights against their recursion."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lightning_modules.ema import averaged_weights


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
