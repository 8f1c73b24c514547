"""The shifted form on the CPU for any number of draws; the engine itself uses it only on GPUs."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from lightning_modules.dp_sgd.fused.conv import NARROW, TOGETHER, factored, shifted, side_by_side
from lightning_modules.dp_sgd.fused.flat_axis import FlatAxis
from lightning_modules.dp_sgd.fused.gradients import Factored, Whole
from lightning_modules.dp_sgd.fused.tape import Tape


@st.composite
def layers(draw: st.DrawFn) -> nn.Conv2d:
    """Convolutions of stride 1 whose padding their kernel reaches over."""
    taps = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    dilation = draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
    reach = [d * (t - 1) for d, t in zip(dilation, taps, strict=True)]
    padding = (draw(st.integers(0, reach[0])), draw(st.integers(0, reach[1])))
    channels = draw(st.sampled_from([1, 3, NARROW + 1])), draw(st.sampled_from([1, 4]))
    return nn.Conv2d(*channels, taps, padding=padding, dilation=dilation).double()


def passed_through(layer: nn.Conv2d, records: int, draws: int, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """A random input of the layer and a random gradient of its output."""
    x = torch.randn(records * draws, layer.in_channels, *size, dtype=torch.float64)
    try:
        output = layer(x)
    except RuntimeError:  # the kernel is larger than the image
        assume(False)
    return x, torch.randn_like(output)


def one_by_one(layer: nn.Conv2d, tape: Tape, x: Tensor, gradient: Tensor) -> Whole:
    """Weight gradients by ordinary autograd, record by record."""
    layer = copy.deepcopy(layer)
    pairs = zip(x.split(tape.multiplicity), gradient.split(tape.multiplicity), strict=True)
    return Whole.of(torch.stack([torch.autograd.grad(layer(a), layer.weight, b)[0] for a, b in pairs]))


def axis_of(layer: nn.Conv2d, x: Tensor, gradient: Tensor, draws: int) -> FlatAxis:
    return FlatAxis.between(layer, layer.padding, x, gradient, draws)


@pytest.mark.slow
@settings(max_examples=150)
@given(layers(), st.integers(1, 3), st.integers(1, 3), st.tuples(st.integers(1, 6), st.integers(1, 6)))
def test_shifted_form_is_the_frameworks_gradient_of_each_record(
    layer: nn.Conv2d, records: int, draws: int, size: tuple[int, int]
) -> None:
    x, gradient = passed_through(layer, records, draws, size)
    tape = Tape(records, draws, x.device)
    expected = one_by_one(layer, tape, x, gradient).in_order().pieces
    found = shifted(axis_of(layer, x, gradient, draws), x, gradient).in_order().pieces
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


@settings(max_examples=100)
@given(layers(), st.integers(1, 2 * TOGETHER + 1), st.integers(1, 3), st.tuples(st.integers(1, 4), st.integers(1, 4)))
def test_grouped_form_is_the_frameworks_gradient_of_each_record(
    layer: nn.Conv2d, records: int, draws: int, size: tuple[int, int]
) -> None:
    x, gradient = passed_through(layer, records, draws, size)
    tape = Tape(records, draws, x.device)
    expected = one_by_one(layer, tape, x, gradient).pieces
    found = side_by_side(layer, tape, x, gradient).in_order().pieces
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


@settings(max_examples=100)
@given(layers(), st.integers(1, 3), st.integers(1, 3), st.tuples(st.integers(1, 6), st.integers(1, 6)))
def test_ghost_norms_are_the_norms_and_contraction_is_the_weighted_sum(
    layer: nn.Conv2d, records: int, draws: int, size: tuple[int, int]
) -> None:
    x, gradient = passed_through(layer, records, draws, size)
    whole = one_by_one(layer, Tape(records, draws, x.device), x, gradient)
    ghost = factored(layer, axis_of(layer, x, gradient, draws), x, gradient)
    factors = torch.rand(records, dtype=torch.float64)
    torch.testing.assert_close(ghost.squared_norms(), whole.squared_norms(), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(ghost.weighted_sum(factors, None), whole.weighted_sum(factors, None))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_inputs_of_unusable_records_that_are_not_finite_add_zero(bad: float) -> None:
    """A gradient that is not held is contracted from the layer's input, which is not scaled by any factor."""
    layer = nn.Conv2d(3, 4, 3, padding=1).double()
    x, gradient = passed_through(layer, 3, 2, (5, 5))
    usable, factors = torch.tensor([True, False, True]), torch.tensor([0.5, 0.0, 0.25]).double()
    draws = usable.repeat_interleave(2)
    ghost = factored(layer, axis_of(layer, x[draws], gradient[draws], 2), x[draws], gradient[draws])
    expected = ghost.weighted_sum(factors[usable], None)
    x[3, 0, 2, 2] = bad
    ghost = factored(layer, axis_of(layer, x, gradient, 2), x, gradient)
    torch.testing.assert_close(ghost.weighted_sum(factors, usable), expected)


@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_ghost_norms_in_float32_are_never_below_the_exact_ones(scale: float) -> None:
    """Also if the terms of the gradient cancel, so that rounding is not small compared with the norm."""
    layer = nn.Conv2d(6, 5, 3, padding=1)
    x = torch.randn(8, 6, 4, 4).mul_(scale)
    gradient = torch.randn(8, 5, 4, 4)
    x[1::2], gradient[1::2] = x[::2], -gradient[::2] * (1 + 1e-6)  # two draws a record that nearly undo each other
    ghost = factored(layer, axis_of(layer, x, gradient, 2), x, gradient)
    exact = one_by_one(layer.double(), Tape(4, 2, x.device), x.double(), gradient.double())
    assert isinstance(ghost, Factored)
    assert (ghost.squared_norms().double() >= exact.squared_norms()).all()
