import itertools
import json
import math

import numpy as np
import pytest
from dp_accounting import ComposedDpEvent, DpEvent, GaussianDpEvent, SelfComposedDpEvent
from dp_accounting.dp_event import MixtureOfGaussiansDpEvent
from dp_accounting.pld import PLDAccountant
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from accounting.composition import epsilon
from accounting.gaussian import gaussian_epsilon, gaussian_mu
from accounting.groups import GROUPS, group_epsilon, group_table
from accounting.mechanisms import GaussianHistogram, GaussianQuery, Mechanism, SampledGaussian
from configs.errors import UserError
from tests.accounting.strategies import HISTOGRAMS, QUERIES

QUERY = GaussianQuery(name="semantic query", noise_multiplier=484, sensitivity=1)
ACCOUNTANTS = ("rdp", "prv")
TRAININGS = st.builds(
    SampledGaussian,
    name=st.just("t"),
    noise_multiplier=st.floats(0.7, 20),
    sampling_rate=st.floats(1e-3, 0.9),
    steps=st.integers(1, 300),
    sensitivity=st.just(1.0),
)
LISTS = st.lists(st.one_of(QUERIES, HISTOGRAMS, TRAININGS), min_size=1, max_size=3)
DELTAS = st.floats(-6, -3).map(lambda x: 10**x)


def training(rate: float, noise: float, steps: int) -> SampledGaussian:
    return SampledGaussian(name="dp-sgd", noise_multiplier=noise, sampling_rate=rate, steps=steps, sensitivity=1)


def event(mechanisms: list[Mechanism], records: int) -> DpEvent:
    """The mechanisms for a number of records, as dp-accounting has them: sampled ones are mixtures of Gaussians."""

    def one(m: Mechanism) -> DpEvent:
        if m.sampling_rate == 1:
            return SelfComposedDpEvent(GaussianDpEvent(m.noise_multiplier / records), m.steps)
        counts = np.arange(records + 1)
        chances = binom.pmf(counts, records, m.sampling_rate)
        step = MixtureOfGaussiansDpEvent(m.noise_multiplier, counts.astype(float).tolist(), chances.tolist())
        return SelfComposedDpEvent(step, m.steps)

    return ComposedDpEvent([one(m) for m in mechanisms])


@pytest.mark.slow
@settings(max_examples=8)
@given(mechanisms=LISTS, delta=DELTAS, records=st.sampled_from([2, 3, 5, 10]))
def test_groups_cost_no_less_than_pld_says(mechanisms: list[Mechanism], delta: float, records: int) -> None:
    by_rdp, by_prv = (group_epsilon(mechanisms, delta, records, name) for name in ACCOUNTANTS)
    if by_rdp > 60:  # no real budget, and slow in the reference
        return
    step = max(by_rdp / 2000, 1e-5)
    theirs = PLDAccountant(value_discretization_interval=step).compose(event(mechanisms, records)).get_epsilon(delta)
    # The reference rounds up as well, by a part of its step.
    assert by_prv >= theirs - max(step, 2e-3 * theirs)
    assert by_rdp >= by_prv * (1 - 1e-9)
    if theirs > 0.1:
        assert by_prv == pytest.approx(theirs, rel=0.01)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rate", "noise", "steps", "delta"),
    [(0.3277, 2.3035, 152, 1e-5), (0.07, 11.7, 2000, 1e-5), (0.28, 1.1357, 40, 1e-4), (0.01, 4.31, 2000, 1e-6)],
)
def test_published_settings_against_pld(rate: float, noise: float, steps: int, delta: float) -> None:
    mechanisms = [QUERY, training(rate, noise, steps)]
    for records in (2, 5, 10):
        by_rdp, by_prv = (group_epsilon(mechanisms, delta, records, name) for name in ACCOUNTANTS)
        reference = PLDAccountant(value_discretization_interval=by_prv / 10_000)
        theirs = reference.compose(event(mechanisms, records)).get_epsilon(delta)
        assert theirs * 0.9995 <= by_prv <= by_rdp <= theirs * 1.2


def test_what_was_claimed_for_groups_is_false() -> None:
    gaussian = [GaussianQuery(name="q", noise_multiplier=1 / gaussian_mu(10, 1.5e-6), sensitivity=1)]
    for accountant in ACCOUNTANTS:
        found = [group_epsilon(gaussian, 1.5e-6, records, accountant) for records in (1, 2, 10)]
        assert found == pytest.approx([10, 23.858, 261.88], rel=1e-4)
    sampled = [QUERY, training(0.3277, 2.3035, 152)]
    assert group_epsilon(sampled, 1e-5, 2) > 2 * group_epsilon(sampled, 1e-5, 1)


@pytest.mark.slow
@settings(max_examples=15)
@given(mechanisms=LISTS, delta=DELTAS, accountant=st.sampled_from(ACCOUNTANTS))
def test_one_record_is_the_record_and_more_records_cost_more(
    mechanisms: list[Mechanism], delta: float, accountant: str
) -> None:
    assert group_epsilon(mechanisms, delta, 1, accountant) == epsilon(mechanisms, delta, accountant)
    found = [group_epsilon(mechanisms, delta, records, accountant) for records in (1, 2, 5, 10)]
    assert all(a <= b for a, b in itertools.pairwise(found))
    # Sampling can only help: all records in every step is the worst.
    mu = math.sqrt(sum(m.steps / m.noise_multiplier**2 for m in mechanisms))
    if accountant == "prv" and found[1] < 100:
        assert found[1] <= gaussian_epsilon(2 * mu, delta) * 1.005 + 1e-3


@given(noise=st.floats(0.5, 500), rounds=st.integers(1, 20), delta=DELTAS, records=st.integers(1, 50))
def test_gaussians_over_every_record_are_exact(noise: float, rounds: int, delta: float, records: int) -> None:
    votes = GaussianHistogram(name="h", noise_multiplier=noise, rounds=rounds)
    exact = gaussian_epsilon(records * math.sqrt(rounds) / noise, delta)
    assert group_epsilon([votes], delta, records) == pytest.approx(exact, rel=1e-9)


@pytest.mark.parametrize("accountant", ACCOUNTANTS)
def test_the_table_is_plain_and_invents_no_bound(accountant: str) -> None:
    mechanisms = [QUERY, training(0.3277, 2.3035, 152)]
    table = group_table(mechanisms, 1e-5, accountant)
    assert [row["records"] for row in table] == list(GROUPS) == [2, 5, 10]
    assert [row["epsilon"] for row in table] == [group_epsilon(mechanisms, 1e-5, m, accountant) for m in GROUPS]
    hopeless = group_table([training(0.5, 1e-3, 10)], 1e-5, accountant)
    assert [row["epsilon"] for row in hopeless] == [None, None, None]
    json.dumps(hopeless, allow_nan=False)
    assert [row["epsilon"] for row in group_table([], 1e-5, accountant)] == [0.0, 0.0, 0.0]


def test_an_unknown_accountant_is_refused() -> None:
    with pytest.raises(UserError, match="moments"):
        group_epsilon([QUERY], 1e-5, 2, "moments")
