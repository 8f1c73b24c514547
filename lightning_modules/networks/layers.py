"""Building blocks of the U-Net, made only of layers that per-record gradient engines know.

Every weight is in a Conv2d, Linear, GroupNorm or Embedding, all convolutions have stride 1, nothing works in place and
nothing mixes records.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Resample = Literal["down", "up"] | None


def group_norm(channels: int) -> nn.GroupNorm:
    """GroupNorm over at most 32 groups of at least 4 channels, as many as divide the channels."""
    most = min(32, max(1, channels // 4))
    return nn.GroupNorm(next(g for g in range(most, 0, -1) if channels % g == 0), channels, eps=1e-5)


def zeroed(layer: nn.Conv2d) -> nn.Conv2d:
    """The same convolution with all its weights zero, so that a new block passes its input on unchanged."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


class SinusoidalEmbedding(nn.Module):
    """Sines and cosines of a noise level, [B] -> [B, channels].

    The frequencies form a geometric sequence from 1/4 to 16, which resolves c_noise = ln(sigma) / 4 over its whole
    range (-1.6 to 1.1 for sigma of 0.002 to 80) without aliasing.
    """

    frequencies: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        exponents = torch.linspace(-2, 4, channels // 2)
        self.register_buffer("frequencies", 2.0**exponents, persistent=False)

    def forward(self, c_noise: Tensor) -> Tensor:
        angles = torch.outer(c_noise, self.frequencies)
        return torch.cat([angles.cos(), angles.sin()], dim=1)


class Attention(nn.Module):
    """Self-attention over the pixels of each image with a residual connection, [B, C, H, W] -> the same shape.

    Heads have 64 channels if that divides C; otherwise there is one head.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.heads = channels // 64 if channels % 64 == 0 else 1
        self.norm = group_norm(channels)
        self.query_key_value = nn.Conv2d(channels, 3 * channels, 1)
        self.out = zeroed(nn.Conv2d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        projected = self.query_key_value(self.norm(x)).reshape(
            batch, 3, self.heads, channels // self.heads, height * width
        )
        query, key, value = projected.transpose(-1, -2).unbind(1)
        attended = F.scaled_dot_product_attention(query, key, value).transpose(-1, -2)
        # Opacus' per-record gradient of a convolution is silently wrong unless its input is contiguous in memory
        return x + self.out(attended.reshape(batch, channels, height, width).contiguous())


class ResidualBlock(nn.Module):
    """GroupNorm-SiLU-Conv twice around the noise and class embedding, with a skip (Song et al. 2021, DDPM++).

    x: [B, inputs, H, W], embedding: [B, embedding] -> [B, outputs, H', W'], with H' = H / 2 (down), 2 H (up) or H.
    """

    def __init__(
        self, inputs: int, outputs: int, embedding: int, *, resample: Resample = None, attention: bool = False
    ):
        super().__init__()
        self.resample = resample
        self.norm_in = group_norm(inputs)
        self.conv_in = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.affine = nn.Linear(embedding, outputs)
        self.norm_out = group_norm(outputs)
        self.conv_out = zeroed(nn.Conv2d(outputs, outputs, 3, padding=1))
        self.skip = nn.Conv2d(inputs, outputs, 1) if inputs != outputs or resample else nn.Identity()
        self.attention = Attention(outputs) if attention else nn.Identity()

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        inner = F.silu(self.norm_in(x))
        if self.resample:
            x, inner = resampled(x, self.resample), resampled(inner, self.resample)
        inner = self.conv_in(inner) + self.affine(embedding)[:, :, None, None]
        inner = self.conv_out(F.silu(self.norm_out(inner)))
        return self.attention((self.skip(x) + inner) * math.sqrt(0.5))


def resampled(x: Tensor, how: Resample) -> Tensor:
    """Twice or half the height and width: nearest neighbours up, means of 2 x 2 pixels down."""
    return F.avg_pool2d(x, 2) if how == "down" else F.interpolate(x, scale_factor=2, mode="nearest")
