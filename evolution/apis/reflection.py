"""Ranges that end in mirrors."""

from __future__ import annotations

import numpy as np


def reflected(values: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Values brought back into their ranges, [N, P], as if the ends were mirrors; where both ends meet, that end."""
    width = np.where(high > low, high - low, 1.0)
    turns = (values - low) / width % 2
    return np.where(high > low, low + np.where(turns > 1, 2 - turns, turns) * width, low)
