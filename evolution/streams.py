"""Streams of public random numbers, a separate one for each purpose of Private Evolution."""

from __future__ import annotations

import numpy as np

FIRST, LOOK, CHOOSE, VARY, RENDER, TRY, STRANGERS, ORDER_TAUGHT, ORDER_VOTED = range(9)


def stream(seed: int, purpose: int, *place: int) -> np.random.Generator:
    """Public random numbers for one purpose at one place. Never noise for privacy.

    Args:
        seed: the run's seed.
        purpose: one of the constants above.
        place: where the numbers are used, such as a round and a category.
    """
    return np.random.default_rng([seed, purpose, *place])
