"""A small generator similar to the real ones, for tests of private training."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lightning_modules.dp_sgd.engine import ClippedSum, trained_parameters

CHANNELS, SIDE, CLASSES = 1, 4, 3


class ToyNetwork(nn.Module):
    """Convolution (used twice), GroupNorm, embedding, linear, and a frozen layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(CHANNELS, 4, 3, padding=1)
        self.norm = nn.GroupNorm(2, 4)
        self.twice = nn.Conv2d(4, 4, 3, padding=1)
        self.embedding = nn.Embedding(CLASSES + 1, 4)
        self.frozen = nn.Linear(4, 4).requires_grad_(False)
        self.last = nn.Conv2d(4, CHANNELS, 1)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        x = torch.tanh(self.norm(self.first(x)) + self.frozen(self.embedding(labels))[:, :, None, None])
        return self.last(torch.tanh(self.twice(torch.tanh(self.twice(x)))))


class ToyGenerator(nn.Module):
    """Denoising with K draws per record. `poison`: the first draw for an image whose first pixel is 255 gives NaN."""

    betas = (0.9, 0.999)
    alternating = None

    def __init__(self, multiplicity: int = 1, noise: float = 1.0, poison: bool = False) -> None:
        super().__init__()
        self.multiplicity = multiplicity
        self.noise = noise
        self.poison = poison
        self.network = ToyNetwork()

    @property
    def trainable(self) -> nn.Module:
        return self.network

    @property
    def released(self) -> nn.Module:
        return self.network

    def record_losses(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        clean = (images.to(next(self.network.parameters())) / 127.5 - 1).repeat_interleave(self.multiplicity, dim=0)
        draws = torch.randn(clean.shape, generator=generator, device=generator.device).to(clean)
        if not self.noise:
            draws = torch.zeros_like(clean)
        error = self.network(clean + self.noise * draws, labels.repeat_interleave(self.multiplicity)) - clean
        losses = error.square().flatten(1).mean(1)
        if self.poison:
            first_draw = torch.arange(len(losses)) % self.multiplicity == 0
            losses = losses * torch.where((clean.flatten(1)[:, 0] == 1) & first_draw, torch.nan, 1.0)
        return losses

    def sample(self, labels: Tensor, generator: torch.Generator) -> Tensor:
        raise NotImplementedError("not part of these tests")


def toy(seed: int = 0, **settings: object) -> ToyGenerator:
    """A generator whose weights depend only on the seed."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return ToyGenerator(**settings)


def records(count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Random images and labels; no pixel is 255."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 255, (count, CHANNELS, SIDE, SIDE), generator=generator, dtype=torch.uint8)
    return images, torch.randint(0, CLASSES, (count,), generator=generator)


def autograd_sum(
    model: ToyGenerator, images: Tensor, labels: Tensor, generator: torch.Generator, clip: float
) -> Tensor:
    """The definition of the clipped sum: one record's gradient after another by ordinary autograd."""
    losses = model.record_losses(images, labels, generator).reshape(len(images), model.multiplicity)
    parameters = trained_parameters(model)
    total = parameters[0].new_zeros(sum(p.numel() for p in parameters))
    for record in losses:
        gradient = torch.cat([g.reshape(-1) for g in torch.autograd.grad(record.mean(), parameters, retain_graph=True)])
        norm = gradient.norm()
        if torch.isfinite(norm):
            total += gradient * min(1.0, clip / (1 + 2**-10) / float(norm))  # room for the rounding of the sum
    return total


def summed(engine: ClippedSum, images: Tensor, labels: Tensor, seed: int = 0) -> Tensor:
    """The clipped sum of an engine, with random draws from a seed."""
    return engine.clipped_sum(images, labels, torch.Generator().manual_seed(seed))[0]
