"""What all engines share: factors that bound a norm, statistics that add up."""

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lightning_modules.dp_sgd.engine import (
    BLOCK,
    PrivateStatistics,
    clip_factors,
    squared_norms,
    trained_parameters,
)
from lightning_modules.dp_sgd.fused import gradients
from lightning_modules.dp_sgd.fused.engine import FusedEngine
from lightning_modules.dp_sgd.opacus_engine import OpacusEngine
from tests.lightning_modules.dp_sgd.toy import ToyGenerator, records, summed, toy

finite = st.floats(0, 1e30)


@given(st.lists(finite, min_size=1, max_size=8), st.floats(1e-6, 1e3))
def test_factors_bound_the_norm_and_never_stretch(norms: list[float], clip: float) -> None:
    norms_ = torch.tensor(norms, dtype=torch.float32)
    factors = clip_factors(norms_, clip)
    assert ((factors >= 0) & (factors <= 1)).all()
    assert (factors.double() * norms_.double() <= clip * (1 - 2**-11)).all()  # the rest is for the sum's rounding
    kept = norms_.double() < clip * (1 - 2**-10)
    assert (factors[kept] == 1).all()
    assert (factors.double() * norms_.double() >= clip * (1 - 2**-9))[~kept].all()


@given(st.integers(1, 2_000_000), st.floats(1e-6, 1e6), st.booleans())
@settings(max_examples=30)
def test_norms_of_long_and_even_gradients_are_right_to_less_than_the_margin(n: int, value: float, even: bool) -> None:
    rows = torch.full((2, n), value) if even else value * torch.randn(2, n)
    exact = torch.linalg.vector_norm(rows.double(), dim=1)
    assert ((squared_norms(rows).sqrt() - exact).abs() <= 16 * torch.finfo(torch.float32).eps * exact).all()
    assert (clip_factors(squared_norms(rows).sqrt(), value / 2).double() * exact <= value / 2).all()


EDGES = st.builds(
    lambda blocks, beyond: max(1, blocks * BLOCK + beyond),
    st.sampled_from([0, 1, 2, 3, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK]),
    st.integers(-2, 2),
)
"""Lengths about those at which blocks, and blocks of blocks, are full."""


@given(EDGES, st.data())
def test_no_value_is_left_out_of_a_norm_wherever_it_stands(length: int, data: st.DataObject) -> None:
    places = st.one_of(st.integers(0, length - 1), st.integers(1, min(length, 3)).map(lambda back: length - back))
    rows = torch.zeros(2, length)
    rows[1, data.draw(places)] = -3.0
    assert squared_norms(rows).tolist() == [0.0, 9.0]
    every = torch.linalg.vector_norm(rows.fill_(0.5).double(), dim=1).square()
    torch.testing.assert_close(squared_norms(rows).double(), every, rtol=1e-6, atol=0)


def test_norms_that_are_not_finite_get_factor_zero() -> None:
    norms = torch.tensor([float("nan"), float("inf"), 0.0])
    assert clip_factors(norms, 1.0).tolist() == [0.0, 0.0, 1.0]


def test_statistics_of_parts_add_up_to_those_of_the_whole() -> None:
    first = PrivateStatistics(records=3, unusable=1, clipped=1, losses=4.0, norms=1.0)
    second = PrivateStatistics(records=2, clipped=2, losses=8.0, norms=5.0)
    expected = {"records": 5.0, "unusable": 1.0, "loss": 3.0, "clipped_fraction": 0.75, "gradient_norm": 1.5}
    assert (first + second).metrics() == expected


def test_frozen_parameters_are_not_trained() -> None:
    model = toy()
    trained = trained_parameters(model)
    assert not any(parameter is model.network.frozen.weight for parameter in trained)
    assert len(trained) == len(list(model.network.parameters())) - 2


ENGINES_AND_RATIOS = [(OpacusEngine, None), (FusedEngine, 0.0), (FusedEngine, math.inf)]
"""All engines; the fused one holds all per-record gradients, or only those that it needs to."""


@pytest.fixture(params=ENGINES_AND_RATIOS, ids=["opacus", "fused, held", "fused, factored"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> type:
    """An engine's class."""
    engine, ratio = request.param
    if ratio is not None:
        monkeypatch.setattr(gradients, "GHOST", ratio)
        monkeypatch.setattr(gradients, "LARGE", 0)
    return engine


def test_record_without_a_finite_gradient_adds_zero(kind: type) -> None:
    model = toy(noise=0.0, poison=True)
    engine = kind(model, 0.5)
    images, labels = records(5)
    expected = summed(engine, images[[0, 1, 3, 4]], labels[[0, 1, 3, 4]])
    images[2, 0, 0, 0] = 255
    total, statistics = engine.clipped_sum(images, labels, torch.Generator())
    assert expected.any()
    torch.testing.assert_close(total, expected)
    assert statistics.records == 5 and statistics.unusable == 1
    assert all(torch.isfinite(torch.tensor(value)) for value in statistics.metrics().values())


def test_one_bad_draw_makes_its_whole_record_zero(kind: type) -> None:
    model = toy(multiplicity=2, noise=0.0, poison=True)
    images, labels = records(1)
    images[0, 0, 0, 0] = 255
    assert not summed(kind(model, 1.0), images, labels).any()


def test_parameter_used_outside_its_layer_is_an_error(kind: type) -> None:
    class Borrowing(ToyGenerator):
        def record_losses(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
            features = self.network.first(images.float())
            return F.conv2d(features, self.network.last.weight).flatten(1).mean(1)

    with pytest.raises(RuntimeError, match=r"last\.weight"):
        summed(kind(Borrowing(), 1.0), *records(2))


def test_norms_and_sums_are_taken_without_tf32(kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    clip_and_sum = kind._clip_and_sum

    def watched(*arguments: Any) -> Any:
        seen.append(torch.get_float32_matmul_precision())
        return clip_and_sum(*arguments)

    monkeypatch.setattr(kind, "_clip_and_sum", watched)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        summed(kind(toy(), 1.0), *records(2))
        assert seen == ["highest"] and torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision(before)
