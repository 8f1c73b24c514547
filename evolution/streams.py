"""Streams of public random numbers, one for each purpose of Private Evolution, so that no two are the same."""

from __future__ import annotations

import numpy as np

FIRST, LOOK, CHOOSE, VARY, RENDER, TRY, STRANGERS, ORDER_TAUGHT, ORDER_VOTED = range(9)


def stream(seed: int, purpose: int, *place: int) -> np.random.Generator:
    """Random numbers for one purpose at one place, such as a round and a category. Never noise for privacy."""
    return np.random.default_rng([seed, purpose, *place])
