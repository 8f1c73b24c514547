"""Progress bars of this package: only on a terminal, on standard error, removed when done."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")


def track(
    items: Iterable[T], description: str, *, total: int, unit: str, start: int = 0, show: bool = True
) -> Iterable[T]:
    """The items, counted on a progress bar if standard error is a terminal.

    Args:
        items: what to iterate over.
        description: text in front of the bar.
        total: value at which the bar is full.
        unit: what one item is called.
        start: value at which the bar begins.
        show: false for no bar at all.
    """
    disable = None if show else True
    return tqdm(items, desc=description, total=total, unit=unit, initial=start, leave=False, disable=disable)
