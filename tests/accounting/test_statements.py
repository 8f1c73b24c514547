import math
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from accounting.statements import (
    delta_text,
    epsilon_text,
    noise_text,
    rate_text,
    rounded_down,
    rounded_up,
    sensitivity_text,
    target_text,
)

NUMBERS = st.floats(1e-12, 1e12) | st.floats(1e-300, 1e-12) | st.integers(-9, 9).map(lambda x: 10.0**x)


@given(value=NUMBERS, digits=st.integers(0, 9))
@example(value=7.9150000000000001, digits=2)
@example(value=9.99995, digits=4)
@example(value=0.1, digits=4)
@example(value=0.30000000000000004, digits=1)
@example(value=2.675, digits=2)
def test_decimals_are_on_the_safe_side_and_as_near_as_can_be(value: float, digits: int) -> None:
    up, down = rounded_up(value, digits), rounded_down(value, digits)
    assert float(down) <= value <= float(up)
    assert Decimal(up) - Decimal(down) in (0, Decimal(1).scaleb(-digits))
    assert len(up.partition(".")[2]) == digits and "e" not in up.lower()


@given(value=NUMBERS, digits=st.integers(1, 15))
@example(value=5e-05, digits=3)
@example(value=1.5149999999e-06, digits=3)
@example(value=0.9999999999999999, digits=6)
@example(value=2.30351, digits=6)
def test_significant_digits_are_on_the_safe_side_and_as_near_as_can_be(value: float, digits: int) -> None:
    up, down = rounded_up(value, digits, significant=True), rounded_down(value, digits, significant=True)
    assert float(down) <= value <= float(up)
    assert Decimal(up) - Decimal(down) <= Decimal(1).scaleb(Decimal(repr(value)).adjusted() - digits + 1)
    assert float(rounded_up(float(up), digits, significant=True)) == float(up)


@given(NUMBERS)
def test_what_makes_a_guarantee_better_is_shown_as_less_and_the_rest_as_more(value: float) -> None:
    for text in (epsilon_text, target_text, delta_text, rate_text, sensitivity_text):
        assert float(text(value)) >= value
    assert float(epsilon_text(value, 2)) >= value >= float(noise_text(value))


def test_numbers_that_were_given_are_shown_as_they_were_given() -> None:
    assert (delta_text(5e-5), delta_text(1e-5), delta_text(1.5e-6)) == ("5e-05", "1e-05", "1.5e-06")
    assert (target_text(10.0), target_text(0.1), noise_text(484.0)) == ("10", "0.1", "484")
    assert (epsilon_text(10.0), epsilon_text(9.99990001), epsilon_text(0.1)) == ("10.0000", "10.0000", "0.1000")
    assert rate_text(1.0) == "1" and sensitivity_text(math.sqrt(2)) == "1.41422"


def test_numbers_that_are_none() -> None:
    assert epsilon_text(None) == "no bound"
    assert (epsilon_text(math.inf), noise_text(math.nan)) == ("inf", "nan")
    assert (rounded_up(0.0, 4), rounded_up(0.0, 3, significant=True)) == ("0.0000", "0")


@pytest.mark.parametrize("value", [-1e-9, -2.5])
def test_below_zero_up_is_up(value: float) -> None:
    assert float(rounded_down(value, 4)) <= value <= float(rounded_up(value, 4))
