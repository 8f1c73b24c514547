"""A classifier that is trained privately, to label images that need not be kept secret."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Generator as RandomGenerator
from torch import Tensor, nn
from torch.nn import functional as F

from configs.components.generators import TeacherConfig
from configs.errors import UserError
from configs.schema import Image
from lightning_modules.acceleration import evaluating
from lightning_modules.draws import normal_rows
from lightning_modules.pixels import to_network
from lightning_modules.registries import CLASSIFIERS, LEARNERS

LABELLED = 1000  # images labelled at once


@LEARNERS.register(TeacherConfig)
class Teacher(nn.Module):
    """A classifier of the sensitive categories that replaces a generator in pre-training and DP-SGD.

    After training with DP-SGD, its answers for any image are post-processing.

    Raises:
        UserError: if K > 1 but no shift, turn or stretch makes the views different.

    Sensitive: `record_losses` may be given sensitive images; each loss depends only on its own record.
    """

    betas = (0.9, 0.99)
    alternating = None

    def __init__(self, config: TeacherConfig, *, image: Image, classes: int) -> None:
        super().__init__()
        self.multiplicity = config.multiplicity
        self.config = config
        if config.multiplicity > 1 and not self.moves:
            raise UserError(
                f"multiplicity: {config.multiplicity} views of a record are all the same. Give shift, turn or stretch."
            )
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
        """Cross-entropies [B * K] of K views per record, those of record 0 first.

        Args:
            images: uint8 [B, C, H, W], B may be 0.
            labels: int64 [B].
            generator: source of all randomness, on the images' device.
            multiplicity: K; default: the configured one.

        Source: De et al. 2022, Section 3.3 (augmentation multiplicity).

        Sensitive: may read sensitive images; each loss depends only on its own record.
        """
        draws = self.multiplicity if multiplicity is None else multiplicity
        views = to_network(images).repeat_interleave(draws, dim=0)
        if self.moves:
            views = moved(views, self.movements(len(images), draws, generator))
        return F.cross_entropy(self.network(views), labels.repeat_interleave(draws), reduction="none")

    @property
    def moves(self) -> bool:
        """Whether views differ from their image."""
        return self.config.shift > 0 or self.config.turn > 0 or self.config.stretch > 1

    def movements(self, records: int, draws: int, generator: RandomGenerator) -> Tensor:
        """Where the pixels of each view come from: affine matrices [B * K, 2, 3].

        One row of random numbers holds all draws of a record.

        Args:
            records: B.
            draws: K, views per record.
            generator: source of all randomness.
        """
        normals = normal_rows(records, 4 * draws, generator)[:, : 4 * draws].reshape(records * draws, 4)
        uniform = torch.erf(normals / math.sqrt(2))  # in (-1, 1)
        angle = math.radians(self.config.turn) * uniform[:, 0]
        scale = (math.log(self.config.stretch) * uniform[:, 1]).exp()
        shift = 2 * self.config.shift * uniform[:, 2:]  # an image is 2 wide in these coordinates
        cosine, sine = scale * angle.cos(), scale * angle.sin()
        turned = torch.stack([cosine, -sine, sine, cosine], dim=1).view(-1, 2, 2)
        return torch.cat([turned, shift[:, :, None]], dim=2)

    @torch.inference_mode()
    def probabilities(self, images: Tensor) -> Tensor:
        """The probability of each category: float32 [N, classes].

        Args:
            images: uint8 [N, C, H, W], on the network's device.
        """
        with evaluating(self):
            parts = [self.network(to_network(part)).softmax(dim=1) for part in images.split(LABELLED)]
        return torch.cat(parts)


def moved(images: Tensor, movements: Tensor) -> Tensor:
    """Images seen through affine matrices; pixels from outside the image are equal to the nearest edge.

    Args:
        images: [N, C, H, W].
        movements: matrices [N, 2, 3], from places in the view to places in the image.
    """
    grid = F.affine_grid(movements, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)
