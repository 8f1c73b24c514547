"""The ways to a clipped sum that `benchmarks.dp_step` compares, each over the same model."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from opacus.grad_sample import GradSampleModuleFastGradientClipping
from torch import Tensor
from torch.func import functional_call, grad, vmap

from benchmarks.noise import reserved
from lightning_modules.diffusion import Diffusion
from lightning_modules.dp_sgd.engine import clip_factors, trained_parameters
from lightning_modules.dp_sgd.fused.engine import FusedEngine
from lightning_modules.dp_sgd.grid import from_grid, to_grid
from lightning_modules.dp_sgd.opacus_engine import OpacusEngine
from lightning_modules.dp_sgd.private_training import PrivateTraining
from lightning_modules.precision import autocast_as

CLIP = 1.0

Step = Callable[[Tensor, Tensor, torch.Generator], Tensor]
"""images uint8 [B, C, H, W], labels [B] and a generator to the flat clipped sum [P]."""


def flat(gradients: list[Tensor | None], model: Diffusion) -> Tensor:
    """Gradients of the trained parameters as one vector."""
    parameters = trained_parameters(model)
    pieces = zip(gradients, parameters, strict=True)
    return torch.cat([(torch.zeros_like(p) if g is None else g).reshape(-1) for g, p in pieces])


def nonprivate(model: Diffusion, precision: str) -> Step:
    """Forward and backward pass of the mean loss."""

    def step(images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        with autocast_as(precision, images.device):
            loss = model.record_losses(images, labels, generator).mean()
        loss.backward()
        gradients = [parameter.grad for parameter in trained_parameters(model)]
        model.zero_grad(set_to_none=True)
        return flat(gradients, model)

    return step


def nonprivate_channels_last(model: Diffusion, precision: str) -> Step:
    """The same with weights channels-last."""
    return nonprivate(model.to(memory_format=torch.channels_last), precision)  # type: ignore[call-overload]


def opacus_hooks(model: Diffusion, precision: str) -> Step:
    """Per-record gradients from Opacus' hooks, as this project's reference engine takes them."""
    engine = OpacusEngine(model, CLIP, precision)
    return lambda images, labels, generator: engine.clipped_sum(images, labels, generator)[0]


def fused(model: Diffusion, precision: str) -> Step:
    """This project's engine."""
    engine = FusedEngine(model, CLIP, precision)
    return lambda images, labels, generator: engine.clipped_sum(images, labels, generator)[0]


def opacus_ghost(model: Diffusion, precision: str) -> Step:
    """Opacus' ghost clipping: norms in a first backward pass, the weighted loss in a second.

    It has no notion of K draws a record and clips every draw by itself, so with K > 1 it takes the same time as it
    would if it could average, but its result is another one.
    """
    wrapped = GradSampleModuleFastGradientClipping(
        model.network, batch_first=True, loss_reduction="sum", max_grad_norm=CLIP, use_ghost_clipping=True
    )

    def step(images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        wrapped.train()
        wrapped.enable_hooks()
        with autocast_as(precision, images.device):
            losses = model.record_losses(images, labels, generator)
        losses.sum().backward(retain_graph=True)
        factors = wrapped.get_clipping_coef()
        model.zero_grad(set_to_none=True)
        wrapped.disable_hooks()
        (factors.to(losses.device) * losses).sum().backward()
        gradients = [parameter.grad for parameter in trained_parameters(model)]
        model.zero_grad(set_to_none=True)
        return flat(gradients, model)

    return step


def torch_func(model: Diffusion, precision: str) -> Step:
    """`vmap(grad(...))` of a record's mean loss over its K draws."""
    network = model.network
    draws = model.multiplicity

    def record_loss(weights: dict[str, Tensor], noisy: Tensor, sigma: Tensor, clean: Tensor, labels: Tensor) -> Tensor:
        sigma_data = model.config.sigma_data
        level = sigma[:, None, None, None]
        total = (level**2 + sigma_data**2).sqrt()
        output = functional_call(network, weights, (noisy / total, sigma.log() / 4, labels))
        denoised = (sigma_data / total) ** 2 * noisy + level * sigma_data / total * output
        weight = (sigma**2 + sigma_data**2) / (sigma * sigma_data) ** 2
        return (weight * (denoised - clean).square().flatten(1).mean(1)).mean()

    per_record = vmap(grad(record_loss), in_dims=(None, 0, 0, 0, 0), randomness="error")

    def step(images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        records = len(images)
        dropped, sigma, noise = model.draw(records, draws, generator)
        classes = torch.where(dropped, model.null_class, labels)[:, None].expand(-1, draws)
        clean = (images.float() / 127.5 - 1)[:, None].expand(-1, draws, -1, -1, -1)
        sigma, noise = sigma.view(records, draws), noise.view(clean.shape)
        noisy = clean + sigma[:, :, None, None, None] * noise
        weights = {name: p.detach() for name, p in network.named_parameters()}
        with autocast_as(precision, images.device):
            gradients = per_record(weights, noisy, sigma, clean, classes)
        norms = torch.stack([g.flatten(1).norm(dim=1) for g in gradients.values()]).norm(dim=0)
        factors = clip_factors(norms, CLIP)
        return torch.cat([factors @ g.flatten(1) for g in gradients.values()])

    return step


def adam_step(model: Diffusion) -> Callable[[Tensor], Tensor]:
    """Adam along a flat gradient; returns it."""
    parameters = trained_parameters(model)
    optimizer = torch.optim.Adam(parameters, lr=1e-4)

    def descend(gradient: Tensor) -> Tensor:
        pieces = gradient.split([parameter.numel() for parameter in parameters])
        for parameter, piece in zip(parameters, pieces, strict=True):
            parameter.grad = piece.view_as(parameter).to(parameter)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return gradient

    return descend


def private_step(model: Diffusion, precision: str) -> Step:
    """A whole step of this project: clipped sum on its grid, keyed noise in whole numbers, Adam."""
    with tempfile.TemporaryDirectory() as folder:
        access = reserved(Path(folder), steps=10**6)
    module = PrivateTraining(
        model,
        FusedEngine(model, CLIP, precision),
        access,
        expected_batch=1.0,
        micro_batch=10**6,
        learning_rate=1e-4,
        ema_decay=0.9,
    ).to(next(model.parameters()).device)
    descend, steps = adam_step(model), itertools.count()

    def step(images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        number = next(steps)
        module.noise.begin(number, module.values, images.device)
        total, _ = module.gradient_sum(number, images, labels)
        units = to_grid(total, module.unit)
        units += module.noise.take(number, module.values, images.device)
        return descend(from_grid(units, module.unit))

    return step


def float32_step(model: Diffusion, precision: str) -> Step:
    """The same with noise as it is usually added: float32 on the device, from a generator that is not secure."""
    engine, descend = FusedEngine(model, CLIP, precision), adam_step(model)

    def step(images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        total, _ = engine.clipped_sum(images, labels, generator)
        return descend(total + CLIP * torch.randn(total.shape, generator=generator, device=total.device))

    return step


PEERS: dict[str, Callable[[Diffusion, str], Step]] = {
    "nonprivate": nonprivate,
    "nonprivate-nhwc": nonprivate_channels_last,
    "fused": fused,
    "opacus": opacus_hooks,
    "opacus-ghost": opacus_ghost,
    "torch.func": torch_func,
    "private-step": private_step,
    "float32-step": float32_step,
}
