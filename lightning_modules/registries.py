"""What this folder offers by name, and the protocols that its models follow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from torch import Generator as RandomGenerator
from torch import Tensor, nn

from configs.components.generators import GENERATOR_NAMES
from configs.components.networks import (
    CLASSIFIER_NAMES,
    DISCRIMINATOR_NAMES,
    GENERATOR_NETWORK_NAMES,
    NETWORK_NAMES,
)
from configs.components.samplers import SAMPLER_NAMES
from configs.registry import Registry

Denoise = Callable[[Tensor, Tensor, Tensor], Tensor]


class Sampler(Protocol):
    """Turns noise into images by calling a denoiser along a schedule of noise levels."""

    def __call__(self, denoise: Denoise, noise: Tensor, labels: Tensor, generator: RandomGenerator) -> Tensor:
        """Images of the shape of `noise`.

        Args:
            denoise: denoise(x, sigma [B], labels) is the expected clean image.
            noise: standard normal [B, C, H, W].
            labels: int64 [B].
            generator: source of the noise of churn; nothing else draws from it.
        """
        ...


class ImageClassifier(Protocol):
    """A classifier network: logits [B, classes] from `head`, a linear layer over `features(x)` [B, F]."""

    head: nn.Linear

    def features(self, x: Tensor) -> Tensor:
        """The penultimate activations [B, F] of images [B, C, H, W] in [-1, 1]."""
        ...

    def __call__(self, x: Tensor) -> Tensor:
        """The logits [B, classes]."""
        ...


@dataclass(frozen=True, kw_only=True)
class AlternatingGenerator:
    """An alternating generator: a network that is trained in turn with another, such as a GAN's generating network.

    It learns only from the trained network and never sees an image.
    """

    network: nn.Module
    """The network."""
    losses: Callable[[RandomGenerator], Tensor]
    """Its losses, any number of them, of what it draws from random numbers. They depend on the trained network's
    weights and on nothing else that images have touched."""
    every: int
    """Steps of the trained network per step of its own."""
    pace: float
    """Its learning rate divided by that of the trained network."""


class Learner(Protocol):
    """A model (a Module) that is trained in the same way on public images (pre-training) and on sensitive ones."""

    multiplicity: int
    """K, the draws of a record's loss whose gradients are averaged before clipping."""
    betas: tuple[float, float]
    """Decays of Adam's moments."""

    @property
    def trainable(self) -> nn.Module:
        """The network that is trained on images, whose gradients DP-SGD clips and noises."""
        ...

    @property
    def released(self) -> nn.Module:
        """The network that is averaged and kept at the end: the trained one, or the alternating generator."""
        ...

    @property
    def alternating(self) -> AlternatingGenerator | None:
        """The alternating generator, which learns from the trained network between its steps, or None."""
        ...

    def record_losses(
        self, images: Tensor, labels: Tensor, generator: RandomGenerator, multiplicity: int | None = None
    ) -> Tensor:
        """Losses [B * K], the K draws of record 0 first.

        Args:
            images: uint8 [B, C, H, W], B may be 0.
            labels: int64 [B].
            generator: source of all randomness.
            multiplicity: K; default: that of the model.

        Sensitive: may be given sensitive images; each loss must depend only on its own record.
        """
        ...


class Generator(Learner, Protocol):
    """A model that makes images for labels."""

    def sample(self, labels: Tensor, generator: RandomGenerator) -> Tensor:
        """One image per label: uint8 [B, C, H, W]."""
        ...


NETWORKS: Registry[nn.Module] = Registry(NETWORK_NAMES)
GENERATOR_NETWORKS: Registry[nn.Module] = Registry(GENERATOR_NETWORK_NAMES)
DISCRIMINATORS: Registry[nn.Module] = Registry(DISCRIMINATOR_NAMES)
CLASSIFIERS: Registry[ImageClassifier] = Registry(CLASSIFIER_NAMES)
SAMPLERS: Registry[Sampler] = Registry(SAMPLER_NAMES)
LEARNERS: Registry[Learner] = Registry(GENERATOR_NAMES)
