"""Which files are one and the same, whatever names and links lead to them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

Identity = tuple[int, int]
"""Device and inode of a file: hard links share them, and a link has those of what it leads to."""


def identified(paths: Iterable[Path]) -> Iterator[tuple[Identity, Path]]:
    """Each file with its identity; opens none. Links that lead nowhere are passed over: nothing can be read by them."""
    for path in paths:
        try:
            found = os.stat(path)
        except OSError:
            continue
        yield (found.st_dev, found.st_ino), path
