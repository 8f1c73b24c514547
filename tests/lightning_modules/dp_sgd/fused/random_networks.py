"""Random networks of all layers that the fused engine supports, and a generator around them."""

from __future__ import annotations

import random

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CLASSES = 5


class Channels(nn.Module):
    """Applies a layer that takes [records, positions, features] to the channels of an image."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class SelfAttention(nn.Module):
    """Attention over pixels made of linear layers."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.projections = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.projections(x.flatten(2).transpose(1, 2)).chunk(3, dim=-1)
        attended = self.out(F.scaled_dot_product_attention(query, key, value))
        return x + attended.transpose(1, 2).reshape(x.shape)


class RandomNetwork(nn.Module):
    """Up to `depth` random layers in a row; one is used twice, one may be frozen, labels enter through an embedding."""

    def __init__(self, seed: int, *, channels: int, side: int, depth: int = 4) -> None:
        super().__init__()
        choice = random.Random(seed)
        self.layers = nn.ModuleList()
        current = channels
        for _ in range(depth):
            layer, current, side = random_layer(choice, current, side)
            self.layers.append(layer)
        self.labels = nn.Embedding(choice.choice([CLASSES, 200]), current, padding_idx=choice.choice([None, 0]))
        self.again = nn.Conv2d(current, current, 1)
        if choice.random() < 0.3:
            self.layers[0].requires_grad_(False)
        if choice.random() < 0.3 and getattr(self.again, "bias", None) is not None:
            self.again.bias.requires_grad_(False)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.tanh(layer(x))
        x = x + self.labels(labels)[:, :, None, None]
        return self.again(torch.tanh(self.again(x)))


def random_layer(choice: random.Random, channels: int, side: int) -> tuple[nn.Module, int, int]:
    """A layer for images [N, channels, side, side], and the channels and side of its output."""
    kind = choice.choice(["conv", "conv", "conv", "linear", "group", "layer", "attention"])
    if kind == "linear":
        wide = choice.choice([1, 3, 24])
        return Channels(nn.Linear(channels, wide, bias=choice.random() < 0.7)), wide, side
    if kind == "group" and channels * side > 1:
        groups = choice.choice([g for g in range(1, channels + (side > 1)) if channels % g == 0])
        return nn.GroupNorm(groups, channels, affine=choice.random() < 0.8), channels, side
    if kind == "layer":
        return Channels(nn.LayerNorm(channels, bias=choice.random() < 0.7)), channels, side
    if kind == "attention":
        return SelfAttention(channels), channels, side
    return random_convolution(choice, channels, side)


def random_convolution(choice: random.Random, channels: int, side: int) -> tuple[nn.Module, int, int]:
    """A convolution that fits the image, with random kernel, stride, padding, dilation and groups."""
    while True:
        groups = choice.choice([1, 1, 1, channels])
        same = choice.random() < 0.2
        layer = nn.Conv2d(
            channels,
            groups * choice.choice([1, 2, 5, 16]) if groups > 1 else choice.choice([1, 2, 5, 16]),
            (choice.choice([1, 2, 3]), choice.choice([1, 3])),
            stride=1 if same else choice.choice([1, 1, (1, 2), 2]),
            padding="same" if same else (choice.choice([0, 1, 2]), choice.choice([0, 1])),
            dilation=choice.choice([1, 1, 2]),
            groups=groups,
            bias=choice.random() < 0.7,
            padding_mode=choice.choice(["zeros", "zeros", "zeros", "replicate"]),
        )
        try:
            after = layer(torch.zeros(1, channels, side, side)).shape
        except RuntimeError:  # the kernel is larger than the image
            continue
        if after[2] == after[3] >= 1 and after[1] <= 32:
            return layer, after[1], after[2]


class RandomGenerator(nn.Module):
    """Squared outputs of a network on noisy images: a loss that depends on every parameter."""

    def __init__(self, network: nn.Module, multiplicity: int) -> None:
        super().__init__()
        self.network = network
        self.multiplicity = multiplicity

    @property
    def trainable(self) -> nn.Module:
        return self.network

    @property
    def released(self) -> nn.Module:
        return self.network

    def record_losses(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        kind = next(self.network.parameters())
        clean = (images.to(kind) / 127.5 - 1).repeat_interleave(self.multiplicity, dim=0)
        noisy = clean + torch.randn(clean.shape, generator=generator).to(clean)
        return self.network(noisy, labels.repeat_interleave(self.multiplicity)).square().flatten(1).mean(1)


def random_generator(seed: int, *, channels: int, side: int, multiplicity: int) -> RandomGenerator:
    """A random network in a generator; depends only on the arguments."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return RandomGenerator(RandomNetwork(seed, channels=channels, side=side), multiplicity)


def random_records(count: int, channels: int, side: int, seed: int) -> tuple[Tensor, Tensor]:
    """Random images and labels."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (count, channels, side, side), generator=generator, dtype=torch.uint8)
    return images, torch.randint(0, CLASSES, (count,), generator=generator)
