"""The GAN: hinge losses of a discriminator, which alone sees images, and of the generating network that follows."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Generator as RandomGenerator
from torch import Tensor, nn

from configs.components.generators import GANConfig
from configs.schema import Image
from lightning_modules.draws import normal_rows
from lightning_modules.inference import evaluating
from lightning_modules.pixels import to_network, to_pixels
from lightning_modules.registries import DISCRIMINATORS, GENERATOR_NETWORKS, GENERATORS, Follower


@GENERATORS.register(GANConfig)
class GAN(nn.Module):
    """Conditional GAN with hinge losses (Brock et al. 2019; Bie et al. 2023 for the private steps).

    Labels are int64 in 0..classes - 1. `record_losses` may be given sensitive images, and trains the discriminator
    alone. The generating network learns from the discriminator between its steps, see `follower`; of the records it
    sees labels, to make their fakes, and in evaluation mode alone.
    """

    multiplicity = 2  # a record's image and its own fake, whose losses are clipped together

    def __init__(self, config: GANConfig, *, image: Image, classes: int) -> None:
        super().__init__()
        self.config = config
        self.betas = (config.beta1, 0.999)
        self.shape = image.shape
        self.classes = classes
        shape = {"resolution": image.resolution, "channels": image.channels, "classes": classes}
        self.network = GENERATOR_NETWORKS.build(config.network, **shape, latent=config.latent)
        self.network.requires_grad_(False)  # but for its own steps: no loss of a record's reaches it
        self.discriminator = DISCRIMINATORS.build(config.discriminator, **shape)

    @property
    def trainable(self) -> nn.Module:
        """The discriminator, the only network that images reach."""
        return self.discriminator

    @property
    def released(self) -> nn.Module:
        """The generating network."""
        return self.network

    @property
    def follower(self) -> Follower:
        """The generating network's own descent, one step after every `discriminator_steps`."""
        return Follower(
            network=self.network,
            losses=self.generator_losses,
            every=self.config.discriminator_steps,
            pace=self.config.pace,
        )

    def record_losses(
        self, images: Tensor, labels: Tensor, generator: RandomGenerator, multiplicity: int | None = None
    ) -> Tensor:
        """The discriminator's hinge losses of each image and of one fake with the same label (Brock et al. 2019, §2).

        images: uint8 [B, C, H, W], B may be 0; labels: int64 [B]; multiplicity: 2, or 1 for one value a record. Returns
        [2 B], record 0's image and fake first, doubled so that their mean is the sum of both losses; or [B] sums. A
        record's fake hangs on its own label and latent alone: the generating network is in evaluation mode, keeps
        nothing of them and gets no gradient. Latents are drawn from `generator`, which lives on the images' device.
        """
        fakes = self.generate(self.latents(len(images), generator), labels)
        pairs = torch.stack([to_network(images).to(fakes), fakes], dim=1).flatten(0, 1)
        scores = self.discriminator(pairs, labels.repeat_interleave(2)).unflatten(0, (-1, 2))
        real, fake = F.relu(1 - scores[:, 0]), F.relu(1 + scores[:, 1])
        return real + fake if multiplicity == 1 else 2 * torch.stack([real, fake], dim=1).flatten()

    def generator_losses(self, generator: RandomGenerator) -> Tensor:
        """The generating network's hinge losses of new fakes, [fakes] (Brock et al. 2019, §2).

        Latents and uniform labels are drawn from `generator`: class proportions are not public. Of the sensitive images
        it sees the discriminator's weights and nothing else. BatchNorm takes the statistics of these fakes.
        """
        count = self.config.fakes
        latents = self.latents(count, generator)
        labels = torch.randint(self.classes, (count,), generator=generator, device=generator.device)
        return -self.discriminator(self.network(latents, labels), labels)

    def latents(self, count: int, generator: RandomGenerator) -> Tensor:
        """Standard normal latents [B, latent], one row a record, in the networks' precision."""
        normals = normal_rows(count, self.config.latent, generator)[:, : self.config.latent]
        return normals.to(next(self.network.parameters()))

    @torch.no_grad()
    def generate(self, latents: Tensor, labels: Tensor) -> Tensor:
        """Images [B, C, H, W] in [-1, 1] of the generating network in evaluation mode: each of its own row alone."""
        with evaluating(self.network):
            return self.network(latents, labels).to(latents)  # autocast may have halved the precision

    @torch.inference_mode()
    def sample(self, labels: Tensor, generator: RandomGenerator) -> Tensor:
        """One image a label: uint8 [B, C, H, W] for labels int64 [B] in 0..classes - 1.

        Latents are drawn from `generator`, which lives on the labels' device.
        """
        return to_pixels(self.generate(self.latents(len(labels), generator), labels))
