"""The GAN: hinge losses of a discriminator, the only network trained on images, and of the generating one."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Generator as RandomGenerator
from torch import Tensor, nn

from configs.components.generators import GANConfig
from configs.schema import Image
from lightning_modules.acceleration import evaluating
from lightning_modules.draws import normal_rows
from lightning_modules.pixels import to_network, to_pixels
from lightning_modules.registries import DISCRIMINATORS, GENERATOR_NETWORKS, LEARNERS, AlternatingGenerator


@LEARNERS.register(GANConfig)
class GAN(nn.Module):
    """Conditional GAN with hinge losses (Brock et al. 2019; Bie et al. 2023 for the private steps).

    Labels are int64 in 0..classes - 1. `record_losses` trains only the discriminator. The generating network learns
    from the discriminator, between its steps (see `alternating`). It sees the labels of records, to make their fakes,
    but only in evaluation mode.

    Sensitive: `record_losses` may be given sensitive images; each loss depends only on its own record.
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
        self.network.requires_grad_(False)  # except in its own steps, so that no record's loss reaches it
        self.discriminator = DISCRIMINATORS.build(config.discriminator, **shape)

    @property
    def trainable(self) -> nn.Module:
        """The discriminator, the only network that is trained on images."""
        return self.discriminator

    @property
    def released(self) -> nn.Module:
        """The generating network."""
        return self.network

    @property
    def alternating(self) -> AlternatingGenerator:
        """The training of the generating network: one step after every `discriminator_steps`."""
        return AlternatingGenerator(
            network=self.network,
            losses=self.generator_losses,
            every=self.config.discriminator_steps,
            pace=self.config.pace,
        )

    def record_losses(
        self, images: Tensor, labels: Tensor, generator: RandomGenerator, multiplicity: int | None = None
    ) -> Tensor:
        """The discriminator's hinge losses of each image and of one fake with the same label.

        A record's fake depends only on its own label and latent: the generating network is in evaluation mode, keeps
        nothing of them and gets no gradient.

        Args:
            images: uint8 [B, C, H, W], B may be 0.
            labels: int64 [B], in 0..classes - 1.
            generator: source of the latents, on the images' device.
            multiplicity: 2, or 1 for one value per record; default: 2.

        Returns:
            For 2: [2 B], image and fake of record 0 first, doubled so that their mean is the sum of both losses. For 1:
            these sums [B].

        Source: Brock et al. 2019, §2.

        Sensitive: may read sensitive images; each loss depends only on its own record.
        """
        fakes = self.generate(self.latents(len(images), generator), labels)
        pairs = torch.stack([to_network(images).to(fakes), fakes], dim=1).flatten(0, 1)
        scores = self.discriminator(pairs, labels.repeat_interleave(2)).unflatten(0, (-1, 2))
        real, fake = F.relu(1 - scores[:, 0]), F.relu(1 + scores[:, 1])
        return real + fake if multiplicity == 1 else 2 * torch.stack([real, fake], dim=1).flatten()

    def generator_losses(self, generator: RandomGenerator) -> Tensor:
        """The generating network's hinge losses of new fakes, [fakes].

        Labels are uniform, because the proportions of the classes are not public. The only thing it sees of the
        sensitive images is the discriminator's weights. BatchNorm takes the statistics of these fakes.

        Args:
            generator: source of latents and labels.

        Source: Brock et al. 2019, §2.
        """
        count = self.config.fakes
        latents = self.latents(count, generator)
        labels = torch.randint(self.classes, (count,), generator=generator, device=generator.device)
        return -self.discriminator(self.network(latents, labels), labels)

    def latents(self, count: int, generator: RandomGenerator) -> Tensor:
        """Standard normal latents [B, latent], one row per record, in the networks' precision."""
        normals = normal_rows(count, self.config.latent, generator)[:, : self.config.latent]
        return normals.to(next(self.network.parameters()))

    @torch.no_grad()
    def generate(self, latents: Tensor, labels: Tensor) -> Tensor:
        """Images [B, C, H, W] in [-1, 1], in evaluation mode: each depends only on its own latent and label."""
        with evaluating(self.network):
            return self.network(latents, labels).to(latents)  # autocast may have reduced the precision

    @torch.inference_mode()
    def sample(self, labels: Tensor, generator: RandomGenerator) -> Tensor:
        """One image per label: uint8 [B, C, H, W].

        Args:
            labels: int64 [B], in 0..classes - 1.
            generator: source of the latents, on the labels' device.
        """
        return to_pixels(self.generate(self.latents(len(labels), generator), labels))
