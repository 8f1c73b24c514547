"""A diffusion model of this project: new images from noise, variations by adding noise and removing it."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import torch

from configs.components.apis import ModelApiConfig
from configs.errors import UserError
from evolution.api import APIS, Surroundings
from evolution.samples import Samples


@APIS.register(ModelApiConfig)
class DiffusionApi:
    """The pre-trained diffusion model; it uses the category's label if it has learnt the sensitive categories."""

    needs_model = True

    def __init__(self, config: ModelApiConfig, surroundings: Surroundings) -> None:
        if config.noise_smallest > config.noise_largest:
            raise UserError(
                f"noise_smallest: got {config.noise_smallest:g}; allowed is at most noise_largest = "
                f"{config.noise_largest:g}."
            )
        self.config = config
        self.class_names = surroundings.class_names
        self.build = surroundings.model

    @cached_property
    def built(self) -> tuple[Any, bool]:
        """The model, built at the first use, and whether it has learnt the categories."""
        model, labelled = self.build()
        if not hasattr(model, "vary"):
            raise UserError("evolution.api: 'model' needs a diffusion model. Set generator.name=diffusion.")
        return model, labelled

    @property
    def model(self) -> Any:
        """The model."""
        return self.built[0]

    def random(self, category: str, count: int, rng: np.random.Generator) -> Samples:
        """Samples of the model for the category, or without a label if the model has not learnt it."""
        label = self.class_names.index(category) if self.built[1] else self.model.null_class
        generator = self.generator(rng)
        parts = [
            self.model.sample(torch.full((size,), label, device=generator.device), generator).cpu().numpy()
            for size in self.sizes(count)
        ]
        return Samples.of_images(np.concatenate(parts))

    def vary(self, samples: Samples, degree: float, rng: np.random.Generator) -> Samples:
        """Each image with noise added and removed again, without a label.

        The noise level grows from `noise_smallest` at degree 0 to `noise_largest` at degree 1, in equal ratios.
        """
        sigma = self.config.noise_smallest * (self.config.noise_largest / self.config.noise_smallest) ** degree
        generator = self.generator(rng)
        parts = []
        for start in range(0, len(samples), self.config.batch_size):
            images = torch.from_numpy(samples.images[start : start + self.config.batch_size]).to(generator.device)
            parts.append(self.model.vary(images, sigma, generator).cpu().numpy())
        return Samples.of_images(np.concatenate(parts))

    def sizes(self, count: int) -> list[int]:
        """The sizes of batches that add up to `count`."""
        return [min(self.config.batch_size, count - start) for start in range(0, count, self.config.batch_size)]

    def generator(self, rng: np.random.Generator) -> torch.Generator:
        """A random number generator on the model's device, seeded from `rng`."""
        device = next(self.model.released.parameters()).device
        return torch.Generator(device).manual_seed(int(rng.integers(2**63)))
