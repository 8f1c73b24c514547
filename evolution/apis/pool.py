"""A fixed pool of images: candidates are drawn from it, and vary to their neighbours in it."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from configs.components.apis import PoolApiConfig
from configs.errors import UserError
from datamodules.sets.image_set import ImageSet
from evolution.api import APIS, Surroundings
from evolution.embedding import pixels
from evolution.nearest import nearest
from evolution.samples import Samples

PART = 10_000  # images whose features are computed at once


@APIS.register(PoolApiConfig)
class Pool:
    """The public images of the categories that the query found similar or that have the category's name, or all."""

    needs_parameters = True

    def __init__(self, config: PoolApiConfig, surroundings: Surroundings) -> None:
        if config.narrowest > config.widest:
            raise UserError(f"narrowest: got {config.narrowest}; allowed is at most widest = {config.widest}.")
        self.config = config
        self.alike = surroundings.alike
        self.read = surroundings.public

    @cached_property
    def images(self) -> ImageSet:
        """All images of the pool, in memory."""
        return self.read().in_memory()

    @cached_property
    def features(self) -> Tensor:
        """The features that are compared, float32 [N, F]."""
        parts = range(0, len(self.images), PART)  # as floats they would take four times the memory of the images
        return torch.cat([pixels(torch.from_numpy(self.images.images[i : i + PART].copy())) for i in parts])

    def random(self, category: str, count: int, rng: np.random.Generator) -> Samples:
        """Random images of the category's part of the pool; no image twice while there are enough."""
        names = self.alike.get(category, ())
        labels = [self.images.class_names.index(name) for name in names if name in self.images.class_names]
        here = np.flatnonzero(np.isin(self.images.labels, labels)) if labels else np.arange(len(self.images))
        return self.samples(rng.permutation(np.resize(rng.permutation(here), count)))

    def vary(self, samples: Samples, degree: float, rng: np.random.Generator) -> Samples:
        """For each sample, a random one of the images most similar to it.

        How many images are drawn from grows from `narrowest` at degree 0 to `widest` at degree 1, in equal ratios.
        """
        low, high = min(self.config.narrowest, len(self.images)), min(self.config.widest, len(self.images))
        near = max(1, round(low * (high / low) ** degree)) if high > low else low
        places = samples.parameters[:, 0].astype(np.int64)
        different, back = np.unique(places, return_inverse=True)
        neighbours = nearest(self.features[different], self.features, near, exact=False).numpy()[back]
        return self.samples(neighbours[np.arange(len(places)), rng.integers(near, size=len(places))])

    def samples(self, places: np.ndarray) -> Samples:
        """The images with these indices, which are their parameters."""
        return Samples(self.images.images[places], places[:, None].astype(np.float64))
