import math

import numpy as np
import pytest
from dp_accounting.pld.privacy_loss_mechanism import AdjacencyType, MixtureGaussianPrivacyLoss
from hypothesis import given, settings
from hypothesis import strategies as st
from opacus.accountants.analysis.prv import PoissonSubsampledGaussianPRV
from opacus.accountants.analysis.rdp import compute_rdp
from scipy.integrate import quad
from scipy.stats import binom, norm

from accounting.composition import ORDERS
from accounting.mixture import Mixture, PrivacyLoss

RATES = st.floats(1e-3, 0.999)
NOISES = st.floats(0.4, 30)
SIZES = st.sampled_from([1, 2, 3, 5, 10])


def log_ratio(x: float, rate: float, noise: float, records: int) -> float:
    """log P/Q at x, written out."""
    chances = [math.comb(records, k) * rate**k * (1 - rate) ** (records - k) for k in range(records + 1)]
    terms = [math.log(c) + (2 * k * x - k * k) / (2 * noise**2) for k, c in enumerate(chances) if c > 0]
    return max(terms) + math.log(math.fsum(math.exp(term - max(terms)) for term in terms))


@settings(max_examples=15)
@given(rate=RATES, noise=NOISES, records=SIZES, order=st.sampled_from([1.1, 1.7, 2.0, 3.4, 6.0]))
def test_renyi_is_the_divergence_in_the_worse_direction(rate: float, noise: float, records: int, order: float) -> None:
    reach = order * records + 12 * noise
    points = [-noise, *(order * k for k in range(records + 1))]

    def divergence(power: float) -> float:
        def log_integrand(x: float) -> float:
            return power * log_ratio(x, rate, noise, records) - (x / noise) ** 2 / 2 - math.log(noise)

        def integrand(x: float) -> float:
            return math.exp(log_integrand(x) - scale) / math.sqrt(2 * math.pi)

        scale = max(map(log_integrand, points))
        moment, _ = quad(integrand, -reach, reach, points=points, limit=1000, epsabs=0, epsrel=1e-9)
        return (math.log(moment) + scale) / (order - 1)

    worse = max(divergence(order), divergence(1 - order))
    assert Mixture(rate, noise, records).renyi((order,))[0] == pytest.approx(worse, rel=1e-7, abs=1e-9)


def test_a_worse_second_direction_counts() -> None:
    class Narrower(Mixture):
        """P = N(0, 0.8^2) against Q = N(0, 1): the divergence of Q from P is the larger one."""

        def log_ratio(self, x: np.ndarray) -> np.ndarray:
            return norm.logpdf(x, 0, 0.8) - norm.logpdf(x)

    def divergence(order: float, first: float, second: float) -> float:
        mixed = order * second**2 + (1 - order) * first**2
        return math.log(second / first) + math.log(second**2 / mixed) / (2 * (order - 1))

    forward, backward = (divergence(1.5, *ends) for ends in ((0.8, 1.0), (1.0, 0.8)))
    assert backward > 1.1 * forward > 0
    assert Narrower(0.5, 1.0).renyi((1.5,))[0] == pytest.approx(backward, rel=1e-9)


@pytest.mark.slow
@settings(max_examples=10)
@given(rate=RATES, noise=NOISES)
def test_for_one_record_it_is_what_opacus_has(rate: float, noise: float) -> None:
    theirs = compute_rdp(q=rate, noise_multiplier=noise, steps=1, orders=list(ORDERS))
    assert Mixture(rate, noise).renyi(ORDERS) == pytest.approx(theirs, rel=1e-6, abs=1e-10)
    loss = PoissonSubsampledGaussianPRV(rate, noise)
    t = np.linspace(-3, 20, 401)
    with np.errstate(all="ignore"):
        assert PrivacyLoss(Mixture(rate, noise), removed=True).cdf(t) == pytest.approx(loss.cdf(t), abs=1e-12)


@settings(max_examples=20)
@given(rate=RATES, noise=NOISES, records=st.sampled_from([2, 5, 10]))
def test_a_group_costs_more_than_its_mean_and_less_than_if_it_came_as_one(
    rate: float, noise: float, records: int
) -> None:
    orders = (1.3, 2.0, 7.0)
    ours = Mixture(rate, noise, records).renyi(orders)
    # Jensen: the mixture's divergence is no less than one record's; all together or none at the chance of any is more.
    least = np.array(compute_rdp(q=rate, noise_multiplier=noise, steps=1, orders=list(orders)))
    together = 1 - (1 - rate) ** records
    most = np.array(compute_rdp(q=together, noise_multiplier=noise / records, steps=1, orders=list(orders)))
    assert np.all(ours >= least * (1 - 1e-6)) and np.all(ours <= most * (1 + 1e-6))


def test_orders_that_would_need_too_many_points_have_no_bound() -> None:
    assert np.all(np.isinf(Mixture(0.5, 0.01, 10).renyi(ORDERS)))
    some = np.isfinite(Mixture(0.5, 0.08, 10).renyi(ORDERS))
    assert some[0] and not some[-1] and np.all(some[:-1] >= some[1:])


@settings(max_examples=25)
@given(rate=RATES, noise=NOISES, records=SIZES, removed=st.booleans())
def test_the_loss_is_that_of_dp_accounting(rate: float, noise: float, records: int, removed: bool) -> None:
    counts = np.arange(records + 1)
    theirs = MixtureGaussianPrivacyLoss(
        noise,
        counts.astype(float),
        binom.pmf(counts, records, rate),
        adjacency_type=AdjacencyType.REMOVE if removed else AdjacencyType.ADD,
    )
    x = np.linspace(-records - 4 * noise, 4 * noise, 101) if removed else np.linspace(-4 * noise, 4 * noise, 101)
    losses = np.array([theirs.privacy_loss(float(value)) for value in x])
    # P is to the left of Q there and the loss falls as x rises, in both directions.
    below = 1 - np.asarray(theirs.mu_upper_cdf(x))
    order = np.argsort(losses, kind="stable")
    distinct = order[np.concatenate([[True], np.diff(losses[order]) > 1e-9])]
    ours = PrivacyLoss(Mixture(rate, noise, records), removed=removed).cdf(losses[distinct])
    assert ours == pytest.approx(below[distinct], abs=1e-6)


@settings(max_examples=25)
@given(rate=RATES, noise=NOISES, records=SIZES, removed=st.booleans(), low=st.floats(-9, 0), high=st.floats(0, 9))
def test_the_mean_between_two_ends_is_exact(
    rate: float, noise: float, records: int, removed: bool, low: float, high: float
) -> None:
    loss = PrivacyLoss(Mixture(rate, noise, records), removed=removed)
    t = np.linspace(low, high, 20_001)
    chance = loss.cdf(t)
    middle = (t[1:] + t[:-1]) / 2
    width = t[1] - t[0]
    assert loss.mean_between(low, high) == pytest.approx(float(np.dot(middle, np.diff(chance))), abs=width)


def test_nothing_lies_between_ends_that_the_loss_does_not_reach() -> None:
    added = PrivacyLoss(Mixture(0.1, 2.0), removed=False)  # at most -log(0.9)
    assert added.mean_between(1.0, 5.0) == 0.0
    assert added.cdf(np.array([0.1, 0.2, 5.0])).tolist()[1:] == [1.0, 1.0]


@pytest.mark.parametrize("records", [1, 2, 10])
def test_where_is_the_inverse_and_minus_infinity_below(records: int) -> None:
    for rate, noise in ((0.01, 0.5), (0.5, 1.0), (0.9, 4.0), (1.0, 2.0)):
        mixture = Mixture(rate, noise, records)
        x = np.linspace(-3 * noise, records + 9 * noise, 301)
        ratio = mixture.log_ratio(x)
        steep = ratio > mixture.log_absent + 1e-6
        assert mixture.where(ratio)[steep] == pytest.approx(x[steep], abs=1e-6 * noise)
        if rate < 1:
            assert mixture.where(np.array([mixture.log_absent, -1e9])).tolist() == [-math.inf, -math.inf]
