"""The generator network of the GAN."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from configs.components.networks import BigGANConfig
from configs.errors import UserError
from lightning_modules.networks.layers import resampled
from lightning_modules.registries import GENERATOR_NETWORKS


@GENERATOR_NETWORKS.register(BigGANConfig)
class BigGAN(nn.Module):
    """Residual generator whose blocks each see a part of the latent and the class (Brock et al. 2019, Fig. 15).

    Takes latents [B, latent] and labels int64 [B] in 0..classes - 1; returns images [B, channels, resolution,
    resolution] in [-1, 1]. In training mode BatchNorm mixes the rows of a batch and follows their statistics, so the
    labels of sensitive records may only be used in evaluation mode.

    Raises:
        UserError: if doublings do not lead to the resolution, or the latent has fewer values than there are parts.
    """

    def __init__(self, config: BigGANConfig, *, resolution: int, channels: int, classes: int, latent: int) -> None:
        super().__init__()
        check(config, resolution, latent)
        widths = [config.base_channels * multiplier for multiplier in config.multipliers]
        part = latent // (len(widths) + 1)
        self.parts = [latent - part * len(widths), *[part] * len(widths)]
        self.side = resolution >> len(widths)
        self.class_embedding = nn.Embedding(classes, config.class_embedding)
        self.linear = spectral_norm(orthogonal(nn.Linear(self.parts[0], widths[0] * self.side**2)))
        self.blocks = nn.ModuleList()
        self.attentions = nn.ModuleList()
        for level, (inputs, outputs) in enumerate(zip([widths[0], *widths], widths, strict=False), start=1):
            self.blocks.append(GeneratorBlock(inputs, outputs, part + config.class_embedding))
            attention = self.side << level in config.attention_resolutions
            self.attentions.append(SelfAttention(outputs) if attention else nn.Identity())
        self.norm_out = nn.BatchNorm2d(widths[-1])
        self.conv_out = convolution(widths[-1], channels, 3)

    def forward(self, latents: Tensor, labels: Tensor) -> Tensor:
        first, *parts = latents.split(self.parts, dim=1)
        embedding = self.class_embedding(labels)
        x = self.linear(first).unflatten(1, (-1, self.side, self.side))
        for block, attention, part in zip(self.blocks, self.attentions, parts, strict=True):
            x = attention(block(x, torch.cat([part, embedding], dim=1)))
        return torch.tanh(self.conv_out(F.relu(self.norm_out(x))))


class GeneratorBlock(nn.Module):
    """Norm-ReLU-Conv twice with a skip, doubling the resolution before the first convolution.

    x: [B, inputs, H, W], condition: [B, condition] -> [B, outputs, 2 H, 2 W].
    """

    def __init__(self, inputs: int, outputs: int, condition: int) -> None:
        super().__init__()
        self.norm_in = ConditionalBatchNorm(inputs, condition)
        self.conv_in = convolution(inputs, outputs, 3)
        self.norm_out = ConditionalBatchNorm(outputs, condition)
        self.conv_out = convolution(outputs, outputs, 3)
        self.skip = convolution(inputs, outputs, 1)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        inner = self.conv_in(resampled(F.relu(self.norm_in(x, condition)), "up"))
        inner = self.conv_out(F.relu(self.norm_out(inner, condition)))
        return inner + self.skip(resampled(x, "up"))


class ConditionalBatchNorm(nn.Module):
    """BatchNorm whose gain and bias are linear in a condition, x [B, C, H, W] -> the same shape."""

    def __init__(self, channels: int, condition: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.gain = spectral_norm(orthogonal(nn.Linear(condition, channels, bias=False)))
        self.bias = spectral_norm(orthogonal(nn.Linear(condition, channels, bias=False)))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        gain, bias = self.gain(condition), self.bias(condition)
        return self.norm(x) * (1 + gain[:, :, None, None]) + bias[:, :, None, None]


class SelfAttention(nn.Module):
    """Self-attention over the pixels of each image, x [B, C, H, W] -> the same shape (Zhang et al. 2019, §3).

    Its part of the output is zero at first.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        narrow, wide = max(1, channels // 8), max(1, channels // 2)
        self.query = convolution(channels, narrow, 1)
        self.key = convolution(channels, narrow, 1)
        self.value = convolution(channels, wide, 1)
        self.out = convolution(wide, channels, 1)
        self.strength = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (layer(x).flatten(2).transpose(1, 2) for layer in (self.query, self.key, self.value))
        attended = F.scaled_dot_product_attention(query, key, value, scale=1.0)
        return x + self.strength * self.out(attended.transpose(1, 2).unflatten(2, x.shape[2:]))


def convolution(inputs: int, outputs: int, size: int) -> nn.Module:
    """A convolution that keeps the resolution, with orthogonal weights and spectral norm 1 (Miyato et al. 2018)."""
    return spectral_norm(orthogonal(nn.Conv2d(inputs, outputs, size, padding=size // 2)))


def orthogonal(layer: nn.Module) -> nn.Module:
    """The same layer, initialised with orthogonal weights and zero bias (Saxe et al. 2014)."""
    for name, parameter in layer.named_parameters():
        (nn.init.zeros_ if name == "bias" else nn.init.orthogonal_)(parameter)
    return layer


def check(config: BigGANConfig, resolution: int, latent: int) -> None:
    """Check that a configuration, a resolution and the size of the latent fit together.

    Raises:
        UserError: if they do not.
    """
    blocks = len(config.multipliers)
    if not blocks or min(config.multipliers) < 1:
        raise UserError(
            f"network.multipliers: given {list(config.multipliers)}. Give one whole number >= 1 per block, e.g. [4, 4]."
        )
    if resolution % 2**blocks:
        fitting = next(n for n in range(blocks, -1, -1) if resolution % 2**n == 0)
        advice = f"Give {fitting} multipliers or fewer, or" if fitting else "Give"
        raise UserError(
            f"network.multipliers: {blocks} blocks double the resolution {blocks} times, but {resolution} pixels do "
            f"not divide by {2**blocks}. {advice} an image.resolution that divides by {2**blocks}."
        )
    if latent <= blocks:
        raise UserError(
            f"latent: given {latent}, but the latent is cut into {blocks + 1} parts, one for each block and one before "
            f"them. Give at least {blocks + 1}; 128 is usual."
        )
