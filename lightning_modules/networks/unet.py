"""The denoising U-Net of the diffusion model."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from configs.components.networks import UNetConfig
from configs.errors import UserError
from lightning_modules.networks.layers import ResidualBlock, SinusoidalEmbedding, group_norm, zeroed
from lightning_modules.registries import NETWORKS


@NETWORKS.register(UNetConfig)
class UNet(nn.Module):
    """U-Net of residual blocks with attention (NCSN++/DDPM++ family).

    Takes x [B, channels, resolution, resolution], c_noise [B] and labels int64 [B] in 0..classes, where the label
    `classes` means no label; returns the shape of x. No layer mixes records, so it may be trained with DP-SGD.

    Raises:
        UserError: if the resolution cannot be halved often enough.

    Source: Song et al. 2021 and Karras et al. 2022, Table 1, with pooling and nearest neighbours for resampling;
    patches as in Luhman and Luhman 2022.
    """

    def __init__(self, config: UNetConfig, *, resolution: int, channels: int, classes: int) -> None:
        super().__init__()
        check(config, resolution)
        self.patch = config.patch
        resolution, channels = resolution // config.patch, channels * config.patch**2
        base = config.base_channels
        width = base * config.embedding_multiplier
        self.noise_embedding = SinusoidalEmbedding(base)
        self.class_embedding = nn.Embedding(classes + 1, base)
        self.embed_in = nn.Linear(base, width)
        self.embed_out = nn.Linear(width, width)

        self.conv_in = nn.Conv2d(channels, base, 3, padding=1)
        self.down = nn.ModuleList()
        skips, current = [base], base
        for level, multiplier in enumerate(config.multipliers):
            attention = resolution >> level in config.attention_resolutions
            if level:
                self.down.append(ResidualBlock(current, current, width, resample="down"))
                skips.append(current)
            for _ in range(config.blocks_per_level):
                self.down.append(ResidualBlock(current, base * multiplier, width, attention=attention))
                current = base * multiplier
                skips.append(current)

        self.middle = nn.ModuleList(
            [ResidualBlock(current, current, width, attention=True), ResidualBlock(current, current, width)]
        )
        self.up = nn.ModuleList()
        for level, multiplier in reversed(list(enumerate(config.multipliers))):
            attention = resolution >> level in config.attention_resolutions
            for index in range(config.blocks_per_level + 1):
                last = index == config.blocks_per_level
                outputs = base * multiplier
                self.up.append(ResidualBlock(current + skips.pop(), outputs, width, attention=attention and last))
                current = outputs
            if level:
                self.up.append(ResidualBlock(current, current, width, resample="up"))
        self.norm_out = group_norm(current)
        self.conv_out = zeroed(nn.Conv2d(current, channels, 3, padding=1))

    def forward(self, x: Tensor, c_noise: Tensor, labels: Tensor) -> Tensor:
        embedding = self.noise_embedding(c_noise) + self.class_embedding(labels)
        embedding = F.silu(self.embed_out(F.silu(self.embed_in(embedding))))
        x = self.conv_in(F.pixel_unshuffle(x, self.patch))
        skips = [x]
        for block in self.down:
            x = block(x, embedding)
            skips.append(x)
        for block in self.middle:
            x = block(x, embedding)
        for block in self.up:
            if block.resample is None:
                x = torch.cat([x, skips.pop()], dim=1)
            x = block(x, embedding)
        return F.pixel_shuffle(self.conv_out(F.silu(self.norm_out(x))), self.patch)


def check(config: UNetConfig, resolution: int) -> None:
    """Check that a configuration and a resolution fit together.

    Raises:
        UserError: if they do not.
    """
    if not config.multipliers or min(config.multipliers) < 1:
        raise UserError(
            f"network.multipliers: given {list(config.multipliers)}. Give one whole number >= 1 per level, e.g. [1, 2]."
        )
    if config.base_channels % 2:
        raise UserError(
            f"network.base_channels: given {config.base_channels}, but it must be even, because the noise embedding is "
            f"half sines, half cosines. Try {config.base_channels + 1}."
        )
    if resolution % config.patch:
        raise UserError(f"network.patch: {resolution} pixels do not divide by {config.patch}. Give a divisor, or 1.")
    resolution, positions = resolution // config.patch, "pixels" if config.patch == 1 else "patches"
    levels = len(config.multipliers)
    factor = 2 ** (levels - 1)
    if resolution % factor:
        fitting = next(n for n in range(levels, 0, -1) if resolution % 2 ** (n - 1) == 0)
        raise UserError(
            f"network.multipliers: {levels} levels halve the resolution {levels - 1} times, but {resolution} "
            f"{positions} do not divide by {factor}. Give at most {fitting} multipliers, or an image.resolution that "
            f"divides by {factor * config.patch}."
        )
