"""What all engines share: factors that bound a norm, statistics that add up."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lightning_modules.dp_sgd.engine import PrivateStatistics, clip_factors, squared_norms, trained_parameters
from tests.lightning_modules.dp_sgd.toy import toy

finite = st.floats(0, 1e30)


@given(st.lists(finite, min_size=1, max_size=8), st.floats(1e-6, 1e3))
def test_factors_bound_the_norm_and_never_stretch(norms: list[float], clip: float) -> None:
    norms_ = torch.tensor(norms, dtype=torch.float32)
    factors = clip_factors(norms_, clip)
    assert ((factors >= 0) & (factors <= 1)).all()
    assert (factors.double() * norms_.double() <= clip).all()
    kept = norms_.double() < clip * (1 - 1e-4)
    assert (factors[kept] == 1).all()


@given(st.integers(1, 2_000_000), st.floats(1e-6, 1e6), st.booleans())
@settings(max_examples=30, deadline=None)
def test_norms_of_long_and_even_gradients_are_right_to_less_than_the_margin(n: int, value: float, even: bool) -> None:
    rows = torch.full((2, n), value) if even else value * torch.randn(2, n)
    exact = torch.linalg.vector_norm(rows.double(), dim=1)
    assert ((squared_norms(rows).sqrt() - exact).abs() <= 16 * torch.finfo(torch.float32).eps * exact).all()
    assert (clip_factors(squared_norms(rows).sqrt(), value / 2).double() * exact <= value / 2).all()


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
