"""Progress bars of this package: on the terminal only, on standard error, gone when done."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")


def track(items: Iterable[T], description: str, *, total: int, unit: str, show: bool = True) -> Iterable[T]:
    """The items, counted on a bar unless `show` is false or standard error is no terminal."""
    return tqdm(items, desc=description, total=total, unit=unit, leave=False, disable=None if show else True)
