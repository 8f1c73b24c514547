"""The diffusion model: EDM preconditioning, its loss with noise multiplicity, and guided sampling."""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import NormalDist

import torch
from torch import Generator as RandomGenerator
from torch import Tensor, nn

from configs.components.generators import DiffusionConfig
from configs.schema import Image
from lightning_modules.acceleration import evaluating
from lightning_modules.draws import normal_rows
from lightning_modules.pixels import to_network, to_pixels
from lightning_modules.registries import LEARNERS, NETWORKS, SAMPLERS


@LEARNERS.register(DiffusionConfig)
class Diffusion(nn.Module):
    """Conditional diffusion model with EDM preconditioning (Karras et al. 2022).

    Labels are int64 in 0..classes - 1; the network's label `classes` is the null class.

    Sensitive: `record_losses` may be given sensitive images; each loss depends only on its own record.
    """

    betas = (0.9, 0.999)
    alternating = None

    def __init__(self, config: DiffusionConfig, *, image: Image, classes: int) -> None:
        super().__init__()
        self.config = config
        self.multiplicity = config.multiplicity
        self.shape = image.shape
        self.null_class = classes
        self.network = NETWORKS.build(
            config.network, resolution=image.resolution, channels=image.channels, classes=classes
        )
        self.sampler = SAMPLERS.build(config.sampler)

    @property
    def trainable(self) -> nn.Module:
        """The denoising network."""
        return self.network

    @property
    def released(self) -> nn.Module:
        """The denoising network: the network that is trained on images is also the one that is released."""
        return self.network

    def denoise(self, noisy: Tensor, sigma: Tensor, labels: Tensor) -> Tensor:
        """The expected clean images.

        Args:
            noisy: [B, C, H, W], with noise of std `sigma` added.
            sigma: [B], > 0.
            labels: int64 [B], in 0..classes.

        Returns:
            [B, C, H, W].

        Source: Karras et al. 2022, Eq. 7 and Table 1.
        """
        sigma_data = self.config.sigma_data
        level = sigma[:, None, None, None]
        total = (level**2 + sigma_data**2).sqrt()
        c_skip = (sigma_data / total) ** 2
        c_out = level * sigma_data / total
        return c_skip * noisy + c_out * self.network(noisy / total, sigma.log() / 4, labels)

    def record_losses(
        self, images: Tensor, labels: Tensor, generator: RandomGenerator, multiplicity: int | None = None
    ) -> Tensor:
        """EDM denoising losses, K per record.

        Args:
            images: uint8 [B, C, H, W], B may be 0.
            labels: int64 [B], in 0..classes - 1.
            generator: source of all randomness, on the images' device.
            multiplicity: K; default: the configured one.

        Returns:
            [B * K], the K draws of record 0 first; each loss is the mean over pixels.

        Source: Karras et al. 2022, Eq. 8.

        Sensitive: may read sensitive images; each loss depends only on its own record.
        """
        draws = self.multiplicity if multiplicity is None else multiplicity
        dropped, sigma, noise = self.draw(len(images), draws, generator)
        labels = torch.where(dropped, self.null_class, labels).repeat_interleave(draws)
        clean = to_network(images).repeat_interleave(draws, dim=0)
        weight = (sigma**2 + self.config.sigma_data**2) / (sigma * self.config.sigma_data) ** 2
        error = self.denoise(clean + sigma[:, None, None, None] * noise, sigma, labels) - clean
        return weight * error.square().flatten(1).mean(1)

    def draw(self, records: int, draws: int, generator: RandomGenerator) -> tuple[Tensor, Tensor, Tensor]:
        """The random draws of the losses.

        One row of normals holds all draws of a record, so that no record's draws depend on how a batch is cut.

        Args:
            records: B.
            draws: K, draws per record.
            generator: source of all randomness.

        Returns:
            Label dropout [B] (once per record), noise levels [B * K] and noise [B * K, C, H, W].
        """
        pixels = math.prod(self.shape)
        normals = normal_rows(records, 1 + draws * (1 + pixels), generator)
        dropout = self.config.label_dropout
        dropped = normals[:, 0] < (NormalDist().inv_cdf(dropout) if dropout > 0 else -math.inf)
        sigma = (self.config.P_mean + self.config.P_std * normals[:, 1 : 1 + draws]).exp()
        noise = normals[:, 1 + draws : 1 + draws * (1 + pixels)]
        return dropped, sigma.reshape(-1), noise.reshape(records * draws, *self.shape)

    def guided(self, noisy: Tensor, sigma: Tensor, labels: Tensor) -> Tensor:
        """Classifier-free guidance: (1 + w) D(x, c) - w D(x, null) (Ho and Salimans 2022, Eq. 6)."""
        conditional = self.denoise(noisy, sigma, labels)
        w = self.config.guidance
        if w == 0:
            return conditional
        return (1 + w) * conditional - w * self.denoise(noisy, sigma, torch.full_like(labels, self.null_class))

    @torch.inference_mode()
    def sample(self, labels: Tensor, generator: RandomGenerator) -> Tensor:
        """One image per label: uint8 [B, C, H, W].

        Args:
            labels: int64 [B], in 0..classes - 1, or `classes` for no label. The caller cuts long lists into batches.
            generator: source of all randomness, on the labels' device.
        """
        noise = torch.randn(len(labels), *self.shape, generator=generator, device=labels.device)
        with evaluating(self):
            return to_pixels(self.sampler(self.guided, noise, labels, generator))

    @torch.inference_mode()
    def vary(self, images: Tensor, sigma: float, generator: RandomGenerator) -> Tensor:
        """Images similar to the given ones: noise is added, and removed again without a label.

        Args:
            images: uint8 [B, C, H, W], on the generator's device.
            sigma: level of the noise, > 0.
            generator: source of all randomness.

        Returns:
            Uint8 [B, C, H, W].

        Raises:
            UserError: if sigma is not above the sampler's sigma_min.

        Source: Lin et al. 2024, §4.2, with the sampler that `sample` uses.
        """
        sampler = SAMPLERS.build(replace(self.config.sampler, sigma_max=sigma))  # it multiplies its input by sigma_max
        noise = torch.randn(images.shape, generator=generator, device=images.device)
        labels = torch.full((len(images),), self.null_class, device=images.device)
        with evaluating(self):
            return to_pixels(sampler(self.denoise, to_network(images) / sigma + noise, labels, generator))
