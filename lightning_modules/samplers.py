"""Samplers of diffusion models: from noise to images along a decreasing schedule of noise levels."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Generator as RandomGenerator
from torch import Tensor

from configs.components.samplers import DDIMConfig, HeunConfig
from configs.errors import UserError
from lightning_modules.registries import SAMPLERS, Denoise


def noise_levels(config: DDIMConfig | HeunConfig) -> list[float]:
    """The schedule sigma_max > ... > sigma_min > 0: `steps` noise levels, then zero.

    Raises:
        UserError: unless sigma_min < sigma_max.

    Source: Karras et al. 2022, Eq. 5.
    """
    if config.sigma_min >= config.sigma_max:
        raise UserError(
            f"sampler.sigma_min: given {config.sigma_min}, which is not below sampler.sigma_max ({config.sigma_max}). "
            "The paper's values are 0.002 and 80."
        )
    first, last = config.sigma_max ** (1 / config.rho), config.sigma_min ** (1 / config.rho)
    return [(first + i / (config.steps - 1) * (last - first)) ** config.rho for i in range(config.steps)] + [0.0]


def slope(denoise: Denoise, x: Tensor, sigma: float, labels: Tensor) -> Tensor:
    """dx/dsigma of the probability flow at one noise level (Karras et al. 2022, Eq. 1 with sigma(t) = t)."""
    levels = torch.full((len(x),), sigma, dtype=x.dtype, device=x.device)
    return (x - denoise(x, levels, labels)) / sigma


@SAMPLERS.register(DDIMConfig)
class DDIMSampler:
    """DDIM: Euler steps down the schedule; the step to zero is one last denoising.

    Depends only on the noise: nothing is drawn from the generator.

    Source: Song et al. 2021 (DDIM), in the parametrisation of Karras et al. 2022.
    """

    def __init__(self, config: DDIMConfig) -> None:
        self.levels = noise_levels(config)

    def __call__(self, denoise: Denoise, noise: Tensor, labels: Tensor, generator: RandomGenerator) -> Tensor:
        x = noise * self.levels[0]
        for sigma, following in pairwise(self.levels):
            x = x + (following - sigma) * slope(denoise, x, sigma, labels)
        return x


@SAMPLERS.register(HeunConfig)
class HeunSampler:
    """EDM: Heun's second-order steps, with optional churn (Karras et al. 2022, Algorithm 2).

    Without churn it depends only on the noise; the noise of churn is drawn from the generator.
    """

    def __init__(self, config: HeunConfig) -> None:
        self.levels = noise_levels(config)
        self.config = config

    def __call__(self, denoise: Denoise, noise: Tensor, labels: Tensor, generator: RandomGenerator) -> Tensor:
        x = noise * self.levels[0]
        for sigma, following in pairwise(self.levels):
            x, sigma = self.churned(x, sigma, generator)
            gradient = slope(denoise, x, sigma, labels)
            ahead = x + (following - sigma) * gradient
            if following > 0:
                gradient = (gradient + slope(denoise, ahead, following, labels)) / 2
                ahead = x + (following - sigma) * gradient
            x = ahead
        return x

    def churned(self, x: Tensor, sigma: float, generator: RandomGenerator) -> tuple[Tensor, float]:
        """The image with noise added, and its new noise level (Algorithm 2, lines 4 to 6)."""
        largest = math.inf if self.config.S_max is None else self.config.S_max
        if self.config.S_churn == 0 or not self.config.S_min <= sigma <= largest:
            return x, sigma
        raised = sigma * (1 + min(self.config.S_churn / self.config.steps, math.sqrt(2) - 1))
        fresh = torch.randn(x.shape, generator=generator, dtype=x.dtype, device=x.device)
        return x + math.sqrt(raised**2 - sigma**2) * self.config.S_noise * fresh, raised
