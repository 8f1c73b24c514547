"""Progress bars of this package: on the terminal only, on standard error, gone when done."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")


def track(
    items: Iterable[T], description: str, *, total: int, unit: str, start: int = 0, show: bool = True
) -> Iterable[T]:
    """The items, counted from `start` on a bar unless `show` is false or standard error is no terminal."""
    disable = None if show else True
    return tqdm(items, desc=description, total=total, unit=unit, initial=start, leave=False, disable=disable)
