import math

import numpy as np
import pytest
from dp_accounting.pld.privacy_loss_distribution import from_mixture_gaussian_mechanism
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from accounting import prv
from accounting.composition import epsilon
from accounting.gaussian import gaussian_epsilon
from accounting.mechanisms import SampledGaussian
from accounting.mixture import Mixture, PrivacyLoss
from accounting.prv import LARGEST_GRID, _domain, directed_bound, discretised, prv_bound


@pytest.mark.parametrize("grid_error", [0.05, 0.005, 0.0005])
def test_the_bound_closes_in_from_above(grid_error: float) -> None:
    exact = gaussian_epsilon(0.7, 1e-5)
    bound, error = prv_bound([(1.0, 1 / 0.7, 1)], 1e-5, half_width=8, grid_error=grid_error)
    assert error <= grid_error * (1 + 1e-9)
    assert exact + error / 2 <= bound <= exact * 1.001 + 2 * error  # the error is in it: an estimate will not do


def test_what_the_grid_loses_is_taken_off_delta(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tested with a grid that may lose half of it."""
    monkeypatch.setattr(prv, "tail", lambda delta: delta / 2)
    exact = gaussian_epsilon(0.7, 0.5e-5)
    bound, error = prv_bound([(1.0, 1 / 0.7, 1)], 1e-5, half_width=8, grid_error=0.005)
    assert exact <= bound - error / 2 <= exact * 1.001 + error


@pytest.mark.slow
def test_a_grid_that_would_be_too_large_says_so_in_its_error() -> None:
    bound, error = prv_bound([(1.0, 1 / 0.7, 1)], 1e-5, half_width=300, grid_error=1e-7)
    assert error > 1e-7
    assert gaussian_epsilon(0.7, 1e-5) <= bound


def test_the_grid_holds_zero_and_is_even() -> None:
    for half_width, mesh in ((3.3, 1e-3), (10.0, 7.7e-4), (4.0, 4.0 / 1009)):
        domain = _domain(half_width, mesh)
        assert domain.size % 2 == 0 and domain.size < 1.2 * (2 * half_width / mesh + 10) < LARGEST_GRID
        assert np.abs(domain.ts).min() < 1e-9 and domain.t_min <= -half_width + mesh and domain.t_max >= half_width


def test_a_delta_below_the_grids_precision_is_refused() -> None:
    with pytest.raises(ArithmeticError):
        prv_bound([(1.0, 1.0, 1)], 1e-17, half_width=30, grid_error=1e-3)


@pytest.mark.slow
@settings(max_examples=10)
@given(
    rate=st.floats(2e-3, 0.9),
    noise=st.floats(0.8, 20),
    steps=st.integers(1, 100),
    records=st.sampled_from([1, 2, 5]),
    log_delta=st.floats(-6, -3),
)
def test_each_direction_is_that_of_pld(rate: float, noise: float, steps: int, records: int, log_delta: float) -> None:
    delta = 10**log_delta
    one = SampledGaussian(name="t", noise_multiplier=noise, sampling_rate=rate, steps=steps, sensitivity=1)
    whole = epsilon([one], delta, records=records)
    if whole > 40:
        return
    counts = np.arange(records + 1)
    step = max(whole / 1000, 1e-4)
    theirs = from_mixture_gaussian_mechanism(
        noise, counts.astype(float), binom.pmf(counts, records, rate), value_discretization_interval=step
    ).self_compose(steps)
    domain = _domain(whole + 12, step / np.sqrt(steps))
    for removed, reference in ((True, theirs._pmf_remove), (False, theirs._pmf_add)):
        loss = PrivacyLoss(Mixture(rate, noise, records), removed=removed)
        bound = directed_bound([loss], [steps], delta, domain)
        assert bound == pytest.approx(reference.get_epsilon_for_delta(delta), rel=0.01, abs=4 * step)


@pytest.mark.parametrize("worse", [True, False])
def test_the_worse_direction_is_stated(worse: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def found(losses: list[PrivacyLoss], *_: object) -> float:
        return 3.0 if all(loss.removed is worse for loss in losses) else 1.0

    monkeypatch.setattr(prv, "directed_bound", found)
    bound, error = prv_bound([(0.1, 1.0, 4), (1.0, 9.0, 1)], 1e-5, half_width=8, grid_error=0.01)
    assert bound == 3.0 + error


@settings(max_examples=10)
@given(rate=st.floats(1e-3, 1), noise=st.floats(0.4, 30), removed=st.booleans(), mesh=st.floats(1e-3, 0.05))
def test_rounding_to_the_grid_keeps_the_mean(rate: float, noise: float, removed: bool, mesh: float) -> None:
    loss = PrivacyLoss(Mixture(rate, noise), removed=removed)
    domain = _domain(40, mesh)
    found = discretised(loss, domain)
    assert found.pmf.sum() == pytest.approx(1) and found.pmf.min() >= 0 and len(found) == domain.size
    assert abs(found.domain.shifts) < domain.dt / 2
    kept = float(np.dot(found.domain.ts, found.pmf))
    assert kept == pytest.approx(loss.mean_between(domain.t_min, domain.t_max), abs=1e-9)


def test_the_mean_of_a_loud_step_is_exact() -> None:
    # Opacus' adaptive rule is off by 1.8e-7 here, which ten thousand steps multiply.
    loss = PrivacyLoss(Mixture(0.275, 0.403), removed=True)
    assert loss.mean_between(-20, 20) == pytest.approx(0.480382711963356703, abs=1e-12)


def test_a_loss_that_the_grid_does_not_hold_is_refused() -> None:
    with pytest.raises(ArithmeticError, match="grid"):
        discretised(PrivacyLoss(Mixture(1.0, 0.01), removed=True), _domain(2.0, 0.01))


@pytest.mark.parametrize("steps", [1, 100, 1000])
def test_the_grid_is_fine_enough_for_a_sum_of_all_steps(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step is rounded by half a point at most, so Hoeffding's inequality holds for their sum."""
    spacings = []
    monkeypatch.setattr(prv, "_domain", lambda width, mesh: spacings.append(mesh) or _domain(width, mesh))
    _, error = prv_bound([(0.1, 3.0, steps)], 1e-5, half_width=30.0, grid_error=0.01)
    assert 0.009 < error <= 0.01001
    assert spacings[0] == pytest.approx(0.01 / math.sqrt(steps * math.log(12 / 1e-8) / 2))
