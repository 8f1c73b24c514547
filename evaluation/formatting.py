"""Numbers as the report and the tables of a comparison show them."""

from __future__ import annotations

import math

MISSING = "\N{EN DASH}"  # a number that does not exist


def number(value: float | None, digits: int = 4) -> str:
    """A number to `digits` significant digits, or to its units if large; a dash if it is missing or not finite."""
    if value is None or not math.isfinite(value):
        return MISSING
    short = f"{value:.{digits}g}"
    whole = abs(value) >= 1000 or float(value).is_integer() or (abs(value) > 1 and "e" in short)
    return f"{value:,.0f}" if whole else short


def percent(value: float | None) -> str:
    """A share as a percentage with one decimal; a dash if it is missing."""
    return MISSING if value is None else f"{100 * value:.1f} %"


def size(value: int) -> str:
    """Bytes in the largest suitable binary unit; a dash for 0."""
    unit = min(3, int(math.log(max(1, value), 1024)))
    return f"{number(value / 1024**unit, 3)} {('B', 'KiB', 'MiB', 'GiB')[unit]}" if value else MISSING


def duration(seconds: float) -> str:
    """Seconds as text: in seconds, minutes or hours."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
