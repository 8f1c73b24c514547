"""What this folder offers by name, and the protocol that every trained and released model follows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from torch import Generator as RandomGenerator
from torch import Tensor, nn

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


class Generator(Protocol):
    """A model of images given labels, pre-trained on public images and fine-tuned on sensitive ones alike (a Module).

    multiplicity: K, the draws of a record's loss whose gradients are averaged before clipping.
    trainable: the network whose parameters are trained and released.
    """

    multiplicity: int

    @property
    def trainable(self) -> nn.Module:
        """The network whose parameters are trained and released."""
        ...

    def record_losses(
        self, images: Tensor, labels: Tensor, generator: RandomGenerator, multiplicity: int | None = None
    ) -> Tensor:
        """Losses [B * K], record-major, of images uint8 [B, C, H, W]; `multiplicity` stands in for K if given."""
        ...

    def sample(self, labels: Tensor, generator: RandomGenerator) -> Tensor:
        """One image a label: uint8 [B, C, H, W]."""
        ...


NETWORKS: Registry[nn.Module] = Registry("network")
CLASSIFIERS: Registry[ImageClassifier] = Registry("classifier")
SAMPLERS: Registry[Sampler] = Registry("sampler")
GENERATORS: Registry[Generator] = Registry("generator")
