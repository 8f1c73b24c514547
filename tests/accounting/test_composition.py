import math

import numpy as np
import pytest
from dp_accounting import ComposedDpEvent, DpEvent, GaussianDpEvent, PoissonSampledDpEvent, SelfComposedDpEvent
from dp_accounting.pld import PLDAccountant
from dp_accounting.rdp import RdpAccountant
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from accounting import composition
from accounting.composition import HIGH_ORDERS, ORDERS, alone, epsilon, prv_epsilon, rdp_curve, rdp_epsilon, shares
from accounting.gaussian import gaussian_epsilon
from accounting.mechanisms import GaussianQuery, Mechanism, SampledGaussian
from configs.errors import UserError
from tests.accounting.strategies import HISTOGRAMS, QUERIES

WHOLE_ORDERS = tuple(float(order) for order in range(2, 64))
QUERY = GaussianQuery(name="semantic query", noise_multiplier=484, sensitivity=1)
TRAINING = SampledGaussian(
    name="dp-sgd", noise_multiplier=2.3035, sampling_rate=16384 / 50000, steps=152, sensitivity=1
)

TRAININGS = st.builds(
    SampledGaussian,
    name=st.just("t"),
    noise_multiplier=st.floats(0.7, 20),
    sampling_rate=st.floats(1e-3, 1),
    steps=st.integers(1, 500),
    sensitivity=st.just(1.0),
)
LISTS = st.lists(st.one_of(QUERIES, HISTOGRAMS, TRAININGS, TRAININGS), min_size=1, max_size=4)
DELTAS = st.floats(-6, -3).map(lambda x: 10**x)


def _event(mechanisms: list[Mechanism]) -> DpEvent:
    def one(m: Mechanism) -> DpEvent:
        gaussian = GaussianDpEvent(m.noise_multiplier)
        step = gaussian if m.sampling_rate == 1 else PoissonSampledDpEvent(m.sampling_rate, gaussian)
        return SelfComposedDpEvent(step, m.steps)

    return ComposedDpEvent([one(m) for m in mechanisms])


@settings(max_examples=15)
@given(mechanisms=LISTS, delta=DELTAS)
def test_rdp_agrees_with_dp_accounting_at_the_same_orders(mechanisms: list[Mechanism], delta: float) -> None:
    theirs = RdpAccountant(list(WHOLE_ORDERS)).compose(_event(mechanisms)).get_epsilon(delta)
    assert rdp_epsilon(mechanisms, delta, WHOLE_ORDERS) == pytest.approx(theirs, rel=1e-3)


@pytest.mark.slow
@settings(max_examples=4)
@given(mechanisms=LISTS, delta=DELTAS)
def test_rdp_at_the_default_orders_is_at_most_dp_accountings(mechanisms: list[Mechanism], delta: float) -> None:
    # At orders that are not whole dp-accounting 0.6 adds the absolute values of an alternating series, an upper bound
    # that may be some tenths of a percent too high, and it gives up where that series converges slowly.
    theirs = RdpAccountant(list(ORDERS)).compose(_event(mechanisms)).get_epsilon(delta)
    ours = rdp_epsilon(mechanisms, delta)
    assert ours <= theirs * (1 + 1e-6)
    if theirs < 3:
        assert ours == pytest.approx(theirs, rel=0.01)


@settings(max_examples=40)
@given(multiplier=st.floats(0.7, 10), rate=st.floats(1e-3, 0.999), order=st.sampled_from([1.1, 1.7, 2.3, 5.9, 10.9]))
def test_rdp_is_the_divergence_it_claims_to_be(multiplier: float, rate: float, order: float) -> None:
    def integrand(x: float) -> float:
        # mu_0 (mu / mu_0)^order, with mu the mixture (Mironov et al. 2019, §3.1)
        log_ratio = np.logaddexp(np.log1p(-rate), np.log(rate) + (2 * x - 1) / (2 * multiplier**2))
        return math.exp(order * log_ratio - x * x / (2 * multiplier**2)) / (multiplier * math.sqrt(2 * math.pi))

    ends = (-12 * multiplier, order + 12 * multiplier)
    moment, _ = quad(integrand, *ends, points=[0.0, order / 2, order], limit=500, epsabs=0, epsrel=1e-11)
    one = SampledGaussian(name="t", noise_multiplier=multiplier, sampling_rate=rate, steps=1, sensitivity=1)
    assert rdp_curve([one], (order,))[0] == pytest.approx(math.log(moment) / (order - 1), rel=1e-3, abs=1e-9)


@pytest.mark.slow
@settings(max_examples=8)
@given(mechanisms=LISTS, delta=DELTAS)
def test_prv_agrees_with_pld(mechanisms: list[Mechanism], delta: float) -> None:
    by_rdp = rdp_epsilon(mechanisms, delta)
    if by_rdp > 30:  # no real budget, and slow in the reference
        return
    ours = prv_epsilon(mechanisms, delta)
    step = max(min(by_rdp / 2000, 1e-3), 1e-5)
    theirs = PLDAccountant(value_discretization_interval=step).compose(_event(mechanisms)).get_epsilon(delta)
    if theirs >= 0.1:
        assert ours == pytest.approx(theirs, rel=0.01)
    assert ours <= by_rdp


@settings(max_examples=15)
@given(mechanisms=st.lists(st.one_of(QUERIES, HISTOGRAMS), min_size=1, max_size=4), delta=DELTAS)
def test_gaussians_over_every_record_compose_exactly(mechanisms: list[Mechanism], delta: float) -> None:
    mu = math.sqrt(sum(m.steps / m.noise_multiplier**2 for m in mechanisms))
    exact = gaussian_epsilon(mu, delta)
    for accountant in ("rdp", "prv"):
        assert epsilon(mechanisms, delta, accountant) == pytest.approx(exact, rel=1e-12)
    assert exact <= rdp_epsilon(mechanisms, delta)
    if exact > 0.1:
        # The numerical accountant finds the same without being told, from below by nothing and from above by its grid.
        assert exact * (1 - 1e-9) <= prv_epsilon(mechanisms, delta) <= exact * 1.01


def test_published_check_values() -> None:
    assert rdp_epsilon([QUERY, TRAINING], 1e-5) == pytest.approx(9.99, abs=0.006)
    assert prv_epsilon([QUERY, TRAINING], 1e-5) == pytest.approx(9.25, abs=0.006)
    assert epsilon([QUERY, TRAINING], 1e-5) == rdp_epsilon([QUERY, TRAINING], 1e-5)
    assert rdp_epsilon([QUERY], 1e-5) == pytest.approx(0.103, abs=5e-4)
    assert rdp_epsilon([QUERY], 1e-5, HIGH_ORDERS) == pytest.approx(0.0053, abs=5e-5)
    assert alone(QUERY, 1e-5) == pytest.approx(0.00455, abs=5e-6)


@pytest.mark.slow
@settings(max_examples=20)
@given(
    lost=st.sets(st.sampled_from(ORDERS), min_size=1, max_size=len(ORDERS) - 1),
    multiplier=st.floats(0.8, 5),
    fails=st.sampled_from([math.nan, ValueError, OverflowError]),
)
def test_orders_without_a_statement_are_not_taken(
    lost: set[float], multiplier: float, fails: float | type[Exception]
) -> None:
    """Not even if their statement would be the smallest."""
    one = SampledGaussian(name="t", noise_multiplier=multiplier, sampling_rate=0.1, steps=50, sensitivity=1)
    kept = tuple(order for order in ORDERS if order not in lost)
    expected = rdp_epsilon([one], 1e-5, kept)
    compute = composition.compute_rdp

    def watched(*, orders: list[float], **settings: float) -> list[float]:
        if orders[0] not in lost:
            return compute(orders=orders, **settings)
        if isinstance(fails, float):
            return [fails]
        raise fails

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(composition, "compute_rdp", watched)
        composition._renyi.cache_clear()
        found = rdp_epsilon([one], 1e-5)
        composition._renyi.cache_clear()
    assert found == expected


@pytest.mark.slow
@settings(max_examples=8)
@given(mechanism=st.one_of(QUERIES, HISTOGRAMS, TRAININGS), delta=DELTAS)
def test_the_same_mechanism_twice_is_one_of_twice_the_steps(mechanism: Mechanism, delta: float) -> None:
    whole = SampledGaussian(
        name="both",
        noise_multiplier=mechanism.noise_multiplier,
        sampling_rate=mechanism.sampling_rate,
        steps=2 * mechanism.steps,
        sensitivity=1,
    )
    for accountant in ("rdp", "prv"):
        expected = epsilon([whole], delta, accountant)
        assert epsilon([mechanism, mechanism], delta, accountant) == pytest.approx(expected, rel=1e-9)


def test_a_rate_of_one_half_keeps_the_low_orders() -> None:
    half = SampledGaussian(name="t", noise_multiplier=1, sampling_rate=0.5, steps=100, sensitivity=1)
    reference = _event([half])
    by_rdp = RdpAccountant(list(ORDERS)).compose(reference).get_epsilon(1e-5)
    by_pld = PLDAccountant(value_discretization_interval=1e-2).compose(reference).get_epsilon(1e-5)
    assert by_pld * 0.99 <= rdp_epsilon([half], 1e-5) <= by_rdp


@pytest.mark.slow
def test_small_epsilon_is_not_drowned_by_the_grid() -> None:
    faint = SampledGaussian(name="t", noise_multiplier=60, sampling_rate=0.3, steps=1, sensitivity=1)
    ours = prv_epsilon([QUERY, faint], 1e-6)
    theirs = PLDAccountant(value_discretization_interval=1e-5).compose(_event([QUERY, faint])).get_epsilon(1e-6)
    assert ours == pytest.approx(theirs, rel=0.01)
    assert ours < 0.02 < rdp_epsilon([QUERY, faint], 1e-6)


def test_sampling_never_costs_more_than_it_would_without() -> None:
    free = SampledGaussian(name="t", noise_multiplier=100, sampling_rate=0.1, steps=1, sensitivity=1)
    assert alone(free, 1e-5) <= gaussian_epsilon(1 / 100, 1e-5) < rdp_epsilon([free], 1e-5)


def test_order_of_charges_hardly_matters_and_nothing_costs_nothing() -> None:
    assert rdp_epsilon([QUERY, TRAINING], 1e-5) == pytest.approx(rdp_epsilon([TRAINING, QUERY], 1e-5), rel=1e-12)
    assert epsilon([], 1e-5) == rdp_epsilon([], 1e-5) == prv_epsilon([], 1e-5) == 0


def test_hopeless_mechanisms_are_bounded_or_infinite() -> None:
    for multiplier in (1e-3, 0.05, 0.2):
        loud = SampledGaussian(name="t", noise_multiplier=multiplier, sampling_rate=0.5, steps=10, sensitivity=1)
        for accountant in ("rdp", "prv"):
            assert epsilon([loud], 1e-5, accountant) > 20


def test_shares_add_up() -> None:
    parts = shares([QUERY, TRAINING], 1e-5)
    assert sum(parts) == pytest.approx(1) and parts[1] > 0.99
    assert np.allclose(shares([QUERY, QUERY], 1e-5), 0.5)


def test_an_unknown_accountant_is_refused() -> None:
    with pytest.raises(UserError, match="moments"):
        epsilon([TRAINING], 1e-5, "moments")
