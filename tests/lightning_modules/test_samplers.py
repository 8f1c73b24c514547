"""Samplers with denoisers that are known in closed form."""

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from configs.components.samplers import DDIMConfig, HeunConfig
from configs.errors import UserError
from lightning_modules.registries import SAMPLERS
from lightning_modules.samplers import noise_levels

LABELS = torch.zeros(2000, dtype=torch.long)


class GaussianDenoiser:
    """E[x0 | x] for data N(mean, std^2): (std^2 x + sigma^2 mean) / (std^2 + sigma^2)."""

    def __init__(self, mean: float, std: float) -> None:
        self.mean, self.std, self.calls = mean, std, 0

    def __call__(self, x: Tensor, sigma: Tensor, labels: Tensor) -> Tensor:
        assert sigma.shape == labels.shape == (len(x),)
        self.calls += 1
        level = sigma[:, None, None, None] ** 2
        return (self.std**2 * x + level * self.mean) / (self.std**2 + level)


def run(config: DDIMConfig | HeunConfig, denoiser: GaussianDenoiser, seed: int = 0, churn_seed: int = 1) -> Tensor:
    noise = torch.randn(2000, 1, 2, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return SAMPLERS.build(config)(denoiser, noise, LABELS, torch.Generator().manual_seed(churn_seed))


ALL = [DDIMConfig(), HeunConfig(), HeunConfig(steps=40, S_churn=20.0), HeunConfig(S_churn=5.0, S_min=0.05, S_max=50.0)]


@pytest.mark.parametrize("config", ALL)
def test_a_single_point_is_recovered(config: DDIMConfig | HeunConfig) -> None:
    samples = run(config, GaussianDenoiser(mean=0.3, std=0.0))
    torch.testing.assert_close(samples, torch.full_like(samples, 0.3), atol=1e-9, rtol=0)


@pytest.mark.parametrize(
    ("config", "tolerance"),
    [(DDIMConfig(steps=400), 0.03), (HeunConfig(steps=40), 0.03), (HeunConfig(steps=100, S_churn=40.0), 0.05)],
)
def test_a_gaussian_is_recovered(config: DDIMConfig | HeunConfig, tolerance: float) -> None:
    samples = run(config, GaussianDenoiser(mean=0.2, std=0.5))
    assert samples.mean().item() == pytest.approx(0.2, abs=0.03)
    assert samples.std().item() == pytest.approx(0.5, rel=tolerance)


def test_heun_is_second_order_and_euler_first() -> None:
    """The exact flow of a Gaussian multiplies (x - mean) by std / sqrt(std^2 + sigma_max^2)."""

    def error(config: DDIMConfig | HeunConfig) -> float:
        noise = torch.randn(2000, 1, 2, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        exact = 80 * noise * 0.5 / math.sqrt(0.25 + 80**2)
        return (run(config, GaussianDenoiser(0.0, 0.5)) - exact).abs().max().item()

    assert error(DDIMConfig(steps=80)) / error(DDIMConfig(steps=160)) == pytest.approx(2, rel=0.15)
    assert error(HeunConfig(steps=80)) / error(HeunConfig(steps=160)) > 3.5


def test_evaluations_of_the_network() -> None:
    euler, heun = GaussianDenoiser(0.0, 1.0), GaussianDenoiser(0.0, 1.0)
    run(DDIMConfig(steps=10), euler)
    run(HeunConfig(steps=10), heun)
    assert (euler.calls, heun.calls) == (10, 19)


def test_only_churn_draws_from_the_generator() -> None:
    for config in (DDIMConfig(), HeunConfig()):
        assert torch.equal(run(config, GaussianDenoiser(0, 1)), run(config, GaussianDenoiser(0, 1), churn_seed=2))
    churned = HeunConfig(S_churn=10.0)
    first = run(churned, GaussianDenoiser(0, 1))
    assert torch.equal(first, run(churned, GaussianDenoiser(0, 1)))
    assert not torch.allclose(first, run(churned, GaussianDenoiser(0, 1), churn_seed=2))


def test_churn_keeps_to_its_range() -> None:
    outside = HeunConfig(S_churn=10.0, S_min=100.0)
    assert torch.equal(run(outside, GaussianDenoiser(0, 1)), run(HeunConfig(), GaussianDenoiser(0, 1)))


@settings(max_examples=50)
@given(steps=st.integers(2, 200), low=st.floats(1e-3, 0.1), high=st.floats(0.2, 200.0), rho=st.floats(1.0, 10.0))
def test_the_schedule_falls_from_sigma_max_to_sigma_min_to_zero(
    steps: int, low: float, high: float, rho: float
) -> None:
    levels = noise_levels(DDIMConfig(steps=steps, sigma_max=high, sigma_min=low, rho=rho))
    assert len(levels) == steps + 1
    assert levels[0] == pytest.approx(high) and levels[-2] == pytest.approx(low, rel=1e-6) and levels[-1] == 0
    assert all(a > b for a, b in pairwise(levels))


@pytest.mark.parametrize("kind", [DDIMConfig, HeunConfig])
def test_a_rising_schedule_is_refused(kind: type) -> None:
    with pytest.raises(UserError, match=r"sampler\.sigma_min: given 2"):
        SAMPLERS.build(kind(sigma_min=2.0, sigma_max=1.0))
