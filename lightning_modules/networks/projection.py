"""The discriminator network of the GAN."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from configs.components.networks import ProjectionConfig
from configs.errors import UserError
from lightning_modules.networks.layers import Attention, group_norm, resampled
from lightning_modules.registries import DISCRIMINATORS

HEAD_STD = 0.02  # std of the initial weights that turn features into a score


@DISCRIMINATORS.register(ProjectionConfig)
class ProjectionDiscriminator(nn.Module):
    """Residual discriminator, sum-pooled, with a projection on the class (Miyato and Koyama 2018, Eq. 3).

    Takes images [B, channels, resolution, resolution] in [-1, 1] and labels int64 [B] in 0..classes - 1; returns scores
    [B], higher for what looks real. GroupNorm replaces BatchNorm and spectral normalisation, and every weight is in a
    layer that per-record gradient engines know. No layer mixes records, so it may be trained with DP-SGD.

    Raises:
        UserError: if the resolution cannot be halved often enough.
    """

    def __init__(self, config: ProjectionConfig, *, resolution: int, channels: int, classes: int) -> None:
        super().__init__()
        check(config, resolution)
        widths = [config.base_channels * multiplier for multiplier in config.multipliers]
        self.blocks = nn.ModuleList()
        for index, (inputs, outputs) in enumerate(zip([channels, *widths], widths, strict=False)):
            side = resolution >> min(index + 1, config.halvings)
            block = DiscriminatorBlock(inputs, outputs, first=index == 0, halve=index < config.halvings)
            self.blocks.append(block)
            if side in config.attention_resolutions:
                self.blocks.append(Attention(outputs))
        self.norm_out = group_norm(widths[-1])
        self.linear = nn.Linear(widths[-1], 1)
        self.class_embedding = nn.Embedding(classes, widths[-1])
        for parameter in (self.linear.weight, self.class_embedding.weight):
            nn.init.normal_(parameter, std=HEAD_STD)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        features = F.relu(self.norm_out(x)).sum(dim=(2, 3))
        return self.linear(features)[:, 0] + (self.class_embedding(labels) * features).sum(dim=1)


class DiscriminatorBlock(nn.Module):
    """Norm-ReLU-Conv twice with a skip, x [B, inputs, H, W] -> [B, outputs, H', W'], H' = H / 2 or H.

    Args:
        inputs: channels of x.
        outputs: channels of the result.
        first: x is an image, which is neither normalised nor passed through ReLU.
        halve: halve the resolution.
    """

    def __init__(self, inputs: int, outputs: int, *, first: bool, halve: bool) -> None:
        super().__init__()
        self.first = first
        self.halve = halve
        self.norm_in = nn.Identity() if first else group_norm(inputs)
        self.conv_in = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm_out = group_norm(outputs)
        self.conv_out = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.skip = nn.Conv2d(inputs, outputs, 1) if inputs != outputs or halve else nn.Identity()
        for layer in (self.conv_in, self.conv_out):
            nn.init.orthogonal_(layer.weight)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.conv_in(x if self.first else F.relu(self.norm_in(x)))
        inner = self.conv_out(F.relu(self.norm_out(inner)))
        if self.halve:
            x, inner = resampled(x, "down"), resampled(inner, "down")
        return self.skip(x) + inner


def check(config: ProjectionConfig, resolution: int) -> None:
    """Check that a configuration and a resolution fit together.

    Raises:
        UserError: if they do not.
    """
    if not config.multipliers or min(config.multipliers) < 1:
        raise UserError(
            f"discriminator.multipliers: given {list(config.multipliers)}. Give one whole number >= 1 per block, "
            "such as [4, 4, 4, 4]."
        )
    if config.halvings > len(config.multipliers) or resolution % 2**config.halvings:
        most = next(n for n in range(min(config.halvings, len(config.multipliers)), -1, -1) if resolution % 2**n == 0)
        raise UserError(
            f"discriminator.halvings: {len(config.multipliers)} blocks cannot halve {resolution} pixels "
            f"{config.halvings} times. Allowed is at most {most}."
        )
