"""How numbers of a guarantee are printed: rounded so that what is read is never better than what holds.

A guarantee stays true where epsilon, delta, a sampling rate or a sensitivity is read as more, or noise as less. Every
printer of one of these goes through this module; `tests/launch/test_printers.py` looks for those that do not.
"""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

NO_BOUND = "no bound"


def rounded_up(value: float, digits: int, *, significant: bool = False) -> str:
    """A number that is at least `value` when it is read again.

    digits: decimals, all of them shown; with `significant`, of the number itself (at most 15), without trailing zeros.
    """
    return _rounded(value, digits, significant, ROUND_CEILING)


def rounded_down(value: float, digits: int, *, significant: bool = False) -> str:
    """A number that is at most `value` when it is read again; `digits` as in `rounded_up`."""
    return _rounded(value, digits, significant, ROUND_FLOOR)


def epsilon_text(value: float | None, decimals: int = 4) -> str:
    """An epsilon that was or would be spent, never less than it is; None is where there is no bound."""
    return NO_BOUND if value is None else rounded_up(value, decimals)


def target_text(value: float) -> str:
    """An epsilon that must not be exceeded, as it was given (to six digits, up)."""
    return rounded_up(value, 6, significant=True)


def delta_text(value: float) -> str:
    """A delta, to three digits: a guarantee at `value` holds at what is shown."""
    return rounded_up(value, 3, significant=True)


def rate_text(value: float) -> str:
    """A sampling rate, to six digits, never less than it is."""
    return rounded_up(value, 6, significant=True)


def sensitivity_text(value: float) -> str:
    """How far one record can move a quantity, to six digits, never less than it is."""
    return rounded_up(value, 6, significant=True)


def noise_text(value: float) -> str:
    """A noise multiplier or standard deviation, to six digits: never more noise than there is."""
    return rounded_down(value, 6, significant=True)


def _rounded(value: float, digits: int, significant: bool, direction: str) -> str:
    if not math.isfinite(value):
        return str(float(value))
    exact = Decimal(repr(float(value)))  # the shortest decimal that is read as this very float
    last = exact.adjusted() - digits + 1 if significant else -digits
    found = exact.quantize(Decimal(1).scaleb(last), rounding=direction, context=Context(prec=800))
    return f"{float(found):.{digits}g}" if significant else f"{found:f}"
