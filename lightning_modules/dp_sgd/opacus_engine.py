"""The reference engine: per-record gradients from Opacus' hooks, for any layer Opacus knows."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from opacus.grad_sample import GradSampleModule
from torch import Tensor, nn

from lightning_modules.dp_sgd.engine import (
    ENGINES,
    PrivateStatistics,
    at_least_float32,
    clip_factors,
    empty_sum,
    record_losses,
    squared_norms,
    statistics,
)
from lightning_modules.dp_sgd.validation import check_network
from lightning_modules.precision import autocast_as, exact_float32
from lightning_modules.registries import Learner


class OpacusEngine:
    """Clipped sums through `GradSampleModule`: B·K gradients of the whole network are held at once.

    Args:
        model: a Learner whose network passes `check_network`.
        clip_norm: C > 0.
        precision: "fp32", or "bf16" for autocast with float32 norms.

    Raises:
        UserError: if the network does not pass.
    """

    def __init__(self, model: Learner, clip_norm: float, precision: str = "fp32") -> None:
        check_network(model.trainable)
        self.model = model
        self.clip_norm = clip_norm
        self.precision = precision

    def clipped_sum(
        self, images: Tensor, labels: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, PrivateStatistics]:
        """See `ClippedSum.clipped_sum`. Norms and sums are in float32, or the parameters' type if that is wider."""
        records = len(images)
        if records == 0:
            return empty_sum(self.model), PrivateStatistics()
        with per_record_gradients(self.model.trainable):
            with autocast_as(self.precision, images.device):
                losses = record_losses(self.model, images, labels, generator)
            losses.sum().backward()
            gradients = [
                record_means(name, parameter, records, self.model.multiplicity)
                for name, parameter in self.model.trainable.named_parameters()
                if parameter.requires_grad
            ]
        with exact_float32():
            return self._clip_and_sum(gradients, losses.detach().reshape(records, -1).mean(dim=1))

    def _clip_and_sum(self, gradients: list[Tensor], losses: Tensor) -> tuple[Tensor, PrivateStatistics]:
        """Clip the gradients [B, p] of all parameters together and sum over records."""
        norms = torch.stack([squared_norms(gradient) for gradient in gradients]).sum(dim=0).sqrt()
        usable = torch.isfinite(norms)
        factors = clip_factors(norms, self.clip_norm)
        if not bool(usable.all()):  # 0 * nan is nan: a factor of zero would not be enough
            gradients = [gradient.masked_fill(~usable[:, None], 0.0) for gradient in gradients]
        total = torch.cat([factors @ gradient for gradient in gradients])
        return total, statistics(norms, losses, self.clip_norm)


def record_means(name: str, parameter: nn.Parameter, records: int, multiplicity: int) -> Tensor:
    """The per-record gradients [B, p] of one parameter, each the mean over its draws.

    They are removed from the parameter.

    Args:
        name: name of the parameter, for messages.
        parameter: a parameter with `grad_sample`.
        records: B.
        multiplicity: K, draws per record.

    Raises:
        RuntimeError: if the parameter is used outside its layer, or has the wrong number of gradients.

    Sensitive: as sensitive as the records.
    """
    gradients = parameter.grad_sample  # type: ignore[attr-defined]
    if gradients is None:
        if parameter.grad is not None:
            raise RuntimeError(f"'{name}' is used outside its layer's forward, so its per-record gradients are unknown")
        return parameter.new_zeros(records, parameter.numel())  # not used by this loss
    if gradients.shape[0] != records * multiplicity:
        raise RuntimeError(
            f"the gradient of '{name}' has {gradients.shape[0]} rows for {records} x {multiplicity} draws"
        )
    parameter.grad_sample = None  # type: ignore[attr-defined]
    means = gradients.reshape(records, multiplicity, -1).to(at_least_float32(gradients.dtype))
    return means[:, 0] if multiplicity == 1 else means.mean(dim=1)


@contextmanager
def per_record_gradients(network: nn.Module) -> Iterator[None]:
    """Let a backward pass of summed losses leave `grad_sample` on the network's parameters.

    Opacus' wrapper exists only inside this block: no hook, attribute or ordinary gradient remains, and no part of it
    enters a checkpoint or a copy of the network.
    """
    was_training = network.training
    network.train()  # Opacus' hooks stay silent in evaluation mode
    convolutions = [layer for layer in network.modules() if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d)]
    contiguous = [layer.register_forward_pre_hook(contiguous_inputs) for layer in convolutions]
    wrapper = GradSampleModule(network, batch_first=True, loss_reduction="sum", strict=True)
    try:
        with warnings.catch_warnings():
            # The first layer's input, an image, needs no gradient, so this warning means nothing.
            warnings.filterwarnings("ignore", message="Full backward hook is firing")
            yield
    finally:
        wrapper.cleanup()
        for hook in contiguous:
            hook.remove()
        for layer in network.modules():
            for leftover in ("activations", "max_batch_len"):
                layer.__dict__.pop(leftover, None)
        for parameter in network.parameters():
            parameter.grad = None
        network.train(was_training)


def contiguous_inputs(layer: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Contiguous inputs, as Opacus expects: its gradient of a convolution is silently wrong for any others."""
    return tuple(x.contiguous() for x in inputs)


ENGINES["opacus"] = OpacusEngine
