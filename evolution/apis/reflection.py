"""Ranges whose ends reflect."""

from __future__ import annotations

import numpy as np


def reflected(values: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Values brought back into their ranges, as if the ends were mirrors.

    Args:
        values: [N, P].
        low: lower ends [P].
        high: upper ends [P], at least `low`; if equal, the value becomes that end.
    """
    width = np.where(high > low, high - low, 1.0)
    turns = (values - low) / width % 2
    return np.where(high > low, low + np.where(turns > 1, 2 - turns, turns) * width, low)
