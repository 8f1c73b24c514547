"""Results of a backward pass: norms, clipped sums, and the sum over several uses of a parameter."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lightning_modules.dp_sgd.fused.gradients import Factored, Whole, ghost_squares
from lightning_modules.dp_sgd.fused.linear import linear_factored
from lightning_modules.precision import exact_float32


@given(st.integers(1, 4), st.integers(1, 5), st.integers(1, 6), st.booleans())
def test_pieces_and_gradients_in_order_agree(taps: int, records: int, size: int, swapped: bool) -> None:
    arranged = ((taps, size), (1, 0)) if swapped else ()
    gradient = Whole(torch.randn(taps, records, size, dtype=torch.float64), *arranged)
    ordered = gradient.in_order()
    factors = torch.rand(records, dtype=torch.float64)
    flat = ordered.pieces[0]
    assert flat.shape == (records, taps * size)
    torch.testing.assert_close(gradient.squared_norms(), flat.square().sum(1))
    torch.testing.assert_close(gradient.weighted_sum(factors, None), factors @ flat)
    for other in (gradient, ordered):
        torch.testing.assert_close((gradient + other).in_order().pieces[0], 2 * flat)


def test_norms_of_bf16_values_are_taken_in_float32_of_what_is_summed() -> None:
    values = torch.randn(1, 3, 1000).to(torch.bfloat16)
    gradient = Whole(values)
    torch.testing.assert_close(gradient.squared_norms(), values[0].float().square().sum(1))
    torch.testing.assert_close(gradient.weighted_sum(torch.ones(3), None), values[0].float().sum(0))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_unusable_records_add_zero_though_their_values_are_not_finite(bad: float) -> None:
    whole = Whole(torch.tensor([[[1.0, 2.0], [bad, 1.0]]]))
    usable, factors = torch.tensor([True, False]), torch.tensor([0.5, 0.0])
    assert whole.weighted_sum(factors, usable).tolist() == [0.5, 1.0]
    held = torch.tensor([[[1.0]], [[bad]]])
    factored = Factored(torch.ones(2), held.flatten(0, 1), lambda scaled, rows: scaled[rows].sum(0))
    assert factored.weighted_sum(factors, usable).tolist() == [0.5]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_inputs_of_unusable_records_that_are_not_finite_add_zero(bad: float) -> None:
    """A gradient that is not held is contracted from the layer's input, which is not scaled by any factor."""
    rows, outputs = torch.randn(3, 4, 5), torch.randn(3, 4, 2)
    usable, factors = torch.tensor([True, False, True]), torch.tensor([0.5, 0.0, 0.25])
    expected = linear_factored(rows[usable], outputs[usable]).weighted_sum(factors[usable], None)
    rows[1, 2, 3] = bad
    torch.testing.assert_close(linear_factored(rows, outputs).weighted_sum(factors, usable), expected)


@given(st.integers(1, 4), st.integers(1, 30), st.integers(1, 8), st.integers(1, 8))
def test_ghost_squares_bound_the_exact_ones_from_above_and_closely(b: int, positions: int, m: int, n: int) -> None:
    g, a = torch.randn(b, positions, m), torch.randn(b, positions, n)
    exact = (g.double().transpose(1, 2) @ a.double()).square().sum((1, 2))
    found = ghost_squares(g @ g.transpose(1, 2), a @ a.transpose(1, 2)).double()
    lengths = (g.norm(dim=2) * a.norm(dim=2)).sum(1).double().square()
    assert (found >= exact).all()
    assert (found <= exact + 1e-4 * lengths).all()


def test_tf32_is_off_for_norms_and_sums_and_as_before_afterwards() -> None:
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("high")
        with exact_float32():
            assert torch.get_float32_matmul_precision() == "highest"
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision(before)


def test_ghost_norms_of_factors_of_very_different_size_do_not_underflow() -> None:
    found = linear_factored(torch.full((1, 100, 64), 3e17), torch.full((1, 100, 64), 2.6e-23)).squared_norms().sqrt()
    assert found.item() == pytest.approx(100 * 64 * 3e17 * 2.6e-23, rel=1e-3)
