"""A classifier that is trained privately, to label images that nobody has to keep secret."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator as RandomGenerator
from torch import Tensor, nn
from torch.nn import functional as F

from configs.fields import component, key
from configs.schema import Image
from lightning_modules.inference import evaluating
from lightning_modules.pixels import to_network
from lightning_modules.registries import CLASSIFIERS, GENERATORS

LABELLED = 1000  # images at once


@dataclass
class TeacherConfig:
    name: str = key("teacher", "makes no images: a classifier that labels a simulator's renderings")
    network: Any = component("classifier", "lenet", "the classifier network; none with BatchNorm")


@GENERATORS.register(TeacherConfig)
class Teacher(nn.Module):
    """A classifier of the sensitive categories that takes a generator's place in pre-training and DP-SGD.

    `record_losses` may be given sensitive images: each loss depends on its own record alone. Once trained with DP-SGD,
    what it says of any image is post-processing.
    """

    multiplicity = 1  # the loss draws nothing
    betas = (0.9, 0.99)
    follower = None

    def __init__(self, config: TeacherConfig, *, image: Image, classes: int) -> None:
        super().__init__()
        self.network: Any = CLASSIFIERS.build(config.network, channels=image.channels, classes=classes)

    @property
    def trainable(self) -> nn.Module:
        """The classifier network."""
        return self.network

    @property
    def released(self) -> nn.Module:
        """The classifier network."""
        return self.network

    def record_losses(
        self, images: Tensor, labels: Tensor, generator: RandomGenerator, multiplicity: int | None = None
    ) -> Tensor:
        """Cross-entropies [B] of images uint8 [B, C, H, W] with labels int64 [B]; draws nothing."""
        return F.cross_entropy(self.network(to_network(images)), labels, reduction="none")

    @torch.inference_mode()
    def probabilities(self, images: Tensor) -> Tensor:
        """How likely each category is: float32 [N, classes] for images uint8 [N, C, H, W] on the network's device."""
        with evaluating(self):
            parts = [self.network(to_network(part)).softmax(dim=1) for part in images.split(LABELLED)]
        return torch.cat(parts)
