"""What the ledger knows a private answer by."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np


def digest(arrays: Iterable[np.ndarray]) -> str:
    """SHA-256 of the types, shapes and values of arrays, in their order; for answers that have their noise."""
    found = hashlib.sha256()
    for array in arrays:
        found.update(f"{array.dtype}{array.shape}".encode())
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()
