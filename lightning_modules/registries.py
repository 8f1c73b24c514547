"""What this folder offers by name, and the protocol that every trained and released model follows."""

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
    """Turns noise into images by asking a denoiser along a schedule of noise levels."""

    def __call__(self, denoise: Denoise, noise: Tensor, labels: Tensor, generator: RandomGenerator) -> Tensor:
        """Images of the shape of `noise`, which is standard normal.

        denoise(x, sigma [B], labels) is the expected clean image. Only churn draws from `generator`.
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
class Follower:
    """A network that learns from the trained one alone and never sees an image, such as a GAN's generator network.

    losses: its losses, any number of them, of what it draws from random numbers; they depend on the trained network's
    weights and on nothing else that images have touched. every: steps of the trained network for one of its own. pace:
    its learning rate over that of the trained network.
    """

    network: nn.Module
    losses: Callable[[RandomGenerator], Tensor]
    every: int
    pace: float


class Learner(Protocol):
    """A model that is pre-trained on public images and fine-tuned on sensitive ones alike (a Module).

    multiplicity: K, the draws of a record's loss whose gradients are averaged before clipping. betas: Adam's decays.
    """

    multiplicity: int
    betas: tuple[float, float]

    @property
    def trainable(self) -> nn.Module:
        """The network whose parameters images train: the one that DP-SGD clips and noises gradients of."""
        ...

    @property
    def released(self) -> nn.Module:
        """The network that is averaged and kept in the end; the trained one, or the one that follows it."""
        ...

    @property
    def follower(self) -> Follower | None:
        """What learns from the trained network between its steps, if anything does."""
        ...

    def record_losses(
        self, images: Tensor, labels: Tensor, generator: RandomGenerator, multiplicity: int | None = None
    ) -> Tensor:
        """Losses [B * K], record-major, of images uint8 [B, C, H, W]; `multiplicity` stands in for K if given."""
        ...


class Generator(Learner, Protocol):
    """A model of images given labels."""

    def sample(self, labels: Tensor, generator: RandomGenerator) -> Tensor:
        """One image a label: uint8 [B, C, H, W]."""
        ...


NETWORKS: Registry[nn.Module] = Registry(NETWORK_NAMES)
GENERATOR_NETWORKS: Registry[nn.Module] = Registry(GENERATOR_NETWORK_NAMES)
DISCRIMINATORS: Registry[nn.Module] = Registry(DISCRIMINATOR_NAMES)
CLASSIFIERS: Registry[ImageClassifier] = Registry(CLASSIFIER_NAMES)
SAMPLERS: Registry[Sampler] = Registry(SAMPLER_NAMES)
GENERATORS: Registry[Learner] = Registry(GENERATOR_NAMES)
