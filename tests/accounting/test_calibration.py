import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounting.calibration import TOLERANCE, BudgetError, calibrate_noise_multiplier
from accounting.composition import epsilon, prv_epsilon
from accounting.mechanisms import GaussianQuery, SampledGaussian
from configs.errors import UserError

QUERY = GaussianQuery(name="semantic query", noise_multiplier=484, sensitivity=1)
PAPER = {"others": [QUERY], "sampling_rate": 16384 / 50000, "steps": 152, "epsilon": 10.0, "delta": 1e-5}


def _composed(settings: dict, noise_multiplier: float, accountant: str) -> float:
    training = SampledGaussian(
        name="t",
        noise_multiplier=noise_multiplier,
        sampling_rate=settings["sampling_rate"],
        steps=settings["steps"],
        sensitivity=1,
    )
    return epsilon([*settings["others"], training], settings["delta"], accountant)


@pytest.mark.slow
@pytest.mark.parametrize(("accountant", "expected"), [("rdp", 2.3025), ("prv", 2.1736)])
def test_the_papers_setting(accountant: str, expected: float) -> None:
    found = calibrate_noise_multiplier(**PAPER, accountant=accountant)
    assert found == pytest.approx(expected, abs=1e-3)
    assert _composed(PAPER, found, accountant) <= 10.0
    assert _composed(PAPER, found - TOLERANCE, accountant) > 10.0


@pytest.mark.slow
@settings(max_examples=12)
@given(
    target=st.floats(0.3, 40),
    rate=st.one_of(st.floats(1e-3, 1), st.just(1.0)),
    steps=st.integers(1, 2000),
    query=st.floats(30, 5000),
    delta=st.sampled_from([1e-6, 1e-5, 1e-4]),
)
def test_the_smallest_that_suffices(target: float, rate: float, steps: int, query: float, delta: float) -> None:
    others = [GaussianQuery(name="q", noise_multiplier=query, sensitivity=2)]
    setting = {"others": others, "sampling_rate": rate, "steps": steps, "epsilon": target, "delta": delta}
    found = calibrate_noise_multiplier(**setting)
    assert _composed(setting, found, "rdp") <= target
    assert _composed(setting, found - TOLERANCE, "rdp") > target


@pytest.mark.slow
def test_without_a_query() -> None:
    setting = {**PAPER, "others": []}
    assert calibrate_noise_multiplier(**setting) <= calibrate_noise_multiplier(**PAPER)


@pytest.mark.slow
def test_prv_reaches_budgets_that_rdp_cannot_state() -> None:
    setting = {**PAPER, "epsilon": 0.1, "steps": 1}
    with pytest.raises(BudgetError, match="prv"):
        calibrate_noise_multiplier(**setting)
    found = calibrate_noise_multiplier(**setting, accountant="prv")
    assert 0.0999 < _composed(setting, found, "prv") <= 0.1


def test_prv_allows_less_noise() -> None:
    by_rdp = calibrate_noise_multiplier(**PAPER)
    training = SampledGaussian(name="t", noise_multiplier=by_rdp, sampling_rate=0.32768, steps=152, sensitivity=1)
    assert prv_epsilon([QUERY, training], 1e-5) < 9.5


def test_a_query_that_takes_it_all_is_refused_with_its_price() -> None:
    loud = GaussianQuery(name="semantic query", noise_multiplier=0.4, sensitivity=1)
    with pytest.raises(BudgetError, match=r"semantic query .* alone costs epsilon 13\.\d+ .*query\.noise_multiplier"):
        calibrate_noise_multiplier(**{**PAPER, "others": [loud]})


@pytest.mark.parametrize("change", [{"sampling_rate": 1.5}, {"sampling_rate": 0}, {"steps": 0}])
def test_impossible_training_is_refused(change: dict) -> None:
    with pytest.raises(UserError):
        calibrate_noise_multiplier(**{**PAPER, **change})
