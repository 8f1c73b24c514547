"""Small APIs for tests, and what an API may know."""

from __future__ import annotations

from typing import Any

import numpy as np

from configs.schema import Image
from evolution.api import Surroundings
from evolution.samples import Samples

SIDE = 8


def surroundings(**changes: Any) -> Surroundings:
    """Gray images of two categories; nothing public, no model."""
    settings: dict[str, Any] = {
        "image": Image(resolution=SIDE, channels=1),
        "class_names": ("4", "7"),
        "alike": {"4": ("4",), "7": ("7",)},
        "public": lambda: None,
        "model": lambda: None,
    }
    return Surroundings(**{**settings, **changes})


class Flat:
    """Images of one gray value, which is their parameter."""

    def random(self, category: str, count: int, rng: np.random.Generator) -> Samples:
        return self.of(rng.uniform(0, 255, count))

    def vary(self, samples: Samples, degree: float, rng: np.random.Generator) -> Samples:
        return self.of(np.clip(samples.parameters[:, 0] + 40 * degree * rng.normal(size=len(samples)), 0, 255))

    @staticmethod
    def of(values: np.ndarray) -> Samples:
        images = np.broadcast_to(values.astype(np.uint8)[:, None, None, None], (len(values), 1, SIDE, SIDE)).copy()
        return Samples(images, values[:, None].astype(np.float64))
