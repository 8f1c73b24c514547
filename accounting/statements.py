"""How numbers of a guarantee are printed: rounded so that the printed guarantee is never better than the real one.

A guarantee stays true if epsilon, delta, a sampling rate or a sensitivity is read as more, or noise as less. All code
that prints one of these uses this module; `tests/launch/test_printers.py` looks for code that does not.
"""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

NO_BOUND = "no bound"


def rounded_up(value: float, digits: int, *, significant: bool = False) -> str:
    """A number as text that reads as at least `value`.

    Args:
        digits: number of decimals, all of them shown.
        significant: whether `digits` counts significant digits instead (at most 15); trailing zeros are left out then.
    """
    return _rounded(value, digits, significant, ROUND_CEILING)


def rounded_down(value: float, digits: int, *, significant: bool = False) -> str:
    """A number as text that reads as at most `value`; arguments as in `rounded_up`."""
    return _rounded(value, digits, significant, ROUND_FLOOR)


def epsilon_text(value: float | None, decimals: int = 4) -> str:
    """An epsilon that was or would be spent, never less than it is; None means that there is no bound."""
    return NO_BOUND if value is None else rounded_up(value, decimals)


def target_text(value: float) -> str:
    """An epsilon that must not be exceeded, to six digits, rounded up."""
    return rounded_up(value, 6, significant=True)


def delta_text(value: float) -> str:
    """A delta, to three digits, rounded up: a guarantee at `value` holds at the delta that is shown too."""
    return rounded_up(value, 3, significant=True)


def guarantee_text(epsilon: float, delta: float) -> str:
    """An epsilon and a delta as the pages of a release write them."""
    return f"(ε = {epsilon_text(epsilon)}, δ = {delta_text(delta)})"


def rate_text(value: float) -> str:
    """A sampling rate, to six digits, never less than it is."""
    return rounded_up(value, 6, significant=True)


def sensitivity_text(value: float) -> str:
    """A sensitivity, to six digits, never less than it is."""
    return rounded_up(value, 6, significant=True)


def noise_text(value: float) -> str:
    """A noise multiplier or standard deviation, to six digits, never more than it is."""
    return rounded_down(value, 6, significant=True)


def _rounded(value: float, digits: int, significant: bool, direction: str) -> str:
    if not math.isfinite(value):
        return str(float(value))
    exact = Decimal(repr(float(value)))  # the shortest decimal that reads as exactly this float
    last = exact.adjusted() - digits + 1 if significant else -digits
    found = exact.quantize(Decimal(1).scaleb(last), rounding=direction, context=Context(prec=800))
    return f"{float(found):.{digits}g}" if significant else f"{found:f}"
