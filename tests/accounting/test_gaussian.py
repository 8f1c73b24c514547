import math
from decimal import Decimal, getcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounting.gaussian import gaussian_epsilon, gaussian_mu

getcontext().prec = 60


def _normal_tail(x: Decimal) -> Decimal:
    """P(N > x) to 40 digits, x >= 0: the series of the distribution function in exact decimals."""
    term = total = x
    n = 0
    while abs(term) > Decimal("1e-55"):
        n += 1
        term = term * x * x / (2 * n + 1)
        total += term
    pi = Decimal("3.14159265358979323846264338327950288419716939937510582097494459")
    return Decimal("0.5") - total * (-x * x / 2).exp() / (2 * pi).sqrt()


def _delta(epsilon: float, mu: float) -> float:
    e, m = Decimal(epsilon), Decimal(mu)
    first, second = e / m - m / 2, e / m + m / 2
    upper = _normal_tail(first) if first >= 0 else 1 - _normal_tail(-first)
    return float(upper - e.exp() * _normal_tail(second))


@given(mu=st.floats(1e-4, 6), log_delta=st.floats(-9, -0.5))
def test_epsilon_solves_the_closed_form_everywhere(mu: float, log_delta: float) -> None:
    delta = 10**log_delta
    epsilon = gaussian_epsilon(mu, delta)
    if epsilon == 0:
        assert _delta(0.0, mu) <= delta * (1 + 1e-9)
    else:
        assert _delta(epsilon, mu) == pytest.approx(delta, rel=1e-8)


def test_the_published_query() -> None:
    assert gaussian_epsilon(1 / 484, 1e-5) == pytest.approx(0.00455, abs=5e-6)


@pytest.mark.parametrize("mu", [0.0, 1e-9])
def test_no_signal_costs_nothing(mu: float) -> None:
    assert gaussian_epsilon(mu, 1e-5) == 0


def test_extremes_stay_finite() -> None:
    assert 5e5 < gaussian_epsilon(1000.0, 1e-5) < 5.1e5
    assert math.isfinite(gaussian_epsilon(1.0, 1e-300))


@given(epsilon=st.floats(1e-3, 100), log_delta=st.floats(-12, -2))
def test_mu_is_the_inverse(epsilon: float, log_delta: float) -> None:
    delta = 10**log_delta
    assert gaussian_epsilon(gaussian_mu(epsilon, delta), delta) == pytest.approx(epsilon, rel=1e-5, abs=1e-6)
