"""Clipped sums from one forward and one backward pass that computes no ordinary weight gradient.

Sensitive: images, labels and all results.
"""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from lightning_modules.dp_sgd.engine import (
    ENGINES,
    ClippedSum,
    PrivateStatistics,
    clip_factors,
    empty_sum,
    record_losses,
    statistics,
)
from lightning_modules.dp_sgd.fused.conv import Conv2dRule
from lightning_modules.dp_sgd.fused.embedding import EmbeddingRule
from lightning_modules.dp_sgd.fused.linear import LinearRule
from lightning_modules.dp_sgd.fused.norms import GroupNormRule, LayerNormRule
from lightning_modules.dp_sgd.fused.rule import Rule, recorded
from lightning_modules.dp_sgd.fused.tape import Tape
from lightning_modules.dp_sgd.opacus_engine import OpacusEngine
from lightning_modules.dp_sgd.validation import check_network
from lightning_modules.precision import autocast_as, exact_float32
from lightning_modules.registries import Learner

RULES: dict[type[nn.Module], Rule] = {
    nn.Conv2d: Conv2dRule(),
    nn.Linear: LinearRule(),
    nn.Embedding: EmbeddingRule(),
    nn.GroupNorm: GroupNormRule(),
    nn.LayerNorm: LayerNormRule(),
}


class FusedEngine:
    """Clipped sums by layer rules: a record's draws are contracted, and large gradients at few positions are not held.

    Args:
        model: a Learner whose network passes `check_network` and whose trained layers all have a rule. The weights of
            its convolutions are changed to channels-last order.
        clip_norm: C > 0.
        precision: "fp32", or "bf16" for autocast with float32 norms.

    Raises:
        UserError: if the network does not pass.
        ValueError: if a trained layer has no rule.
    """

    def __init__(self, model: Learner, clip_norm: float, precision: str = "fp32") -> None:
        check_network(model.trainable)
        unknown = unknown_layers(model.trainable)
        if unknown:
            raise ValueError(f"no rule for {', '.join(unknown)}")
        self.model = model
        self.clip_norm = clip_norm
        self.precision = precision
        model.trainable.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.layers = [(name, layer) for name, layer in model.trainable.named_modules() if trained(layer)]
        self.parameters = dict(model.trainable.named_parameters())

    def clipped_sum(
        self, images: Tensor, labels: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, PrivateStatistics]:
        """See `ClippedSum.clipped_sum`. Norms and sums are in float32, or the parameters' type if that is wider."""
        if len(images) == 0:
            return empty_sum(self.model), PrivateStatistics()
        tape = Tape(len(images), self.model.multiplicity, images.device)
        with self._recording(tape), uncollected():
            with autocast_as(self.precision, images.device):
                losses = record_losses(self.model, images, labels, generator)
            (losses.sum() / self.model.multiplicity).backward()
            self._check_complete()
        with exact_float32():
            return self._clip_and_sum(tape, losses.detach().reshape(len(images), -1).mean(dim=1))

    @contextmanager
    def _recording(self, tape: Tape) -> Iterator[None]:
        """Let the trained layers record on the tape; no part of it remains on the network afterwards."""
        try:
            for name, layer in self.layers:
                layer.forward = recorded(name, layer, RULES[type(layer)], tape)  # type: ignore[method-assign]
            yield
        finally:
            for _, layer in self.layers:
                layer.__dict__.pop("forward", None)
            for parameter in self.parameters.values():
                parameter.grad = None

    def _check_complete(self) -> None:
        """RuntimeError if a parameter got an ordinary gradient: it was used outside its layer and not recorded."""
        for name, parameter in self.parameters.items():
            if parameter.grad is not None:
                raise RuntimeError(
                    f"'{name}' is used outside its layer's forward, so its per-record gradients are unknown"
                )

    @torch.no_grad()
    def _clip_and_sum(self, tape: Tape, losses: Tensor) -> tuple[Tensor, PrivateStatistics]:
        """Clip the gradients of all parameters together and sum over records."""
        parameters = [parameter for parameter in self.parameters.values() if parameter.requires_grad]
        norms = tape.squared_norms().sqrt()
        factors, usable = clip_factors(norms, self.clip_norm), torch.isfinite(norms)
        kept = None if bool(usable.all()) else usable
        return tape.weighted_sum(parameters, factors, kept), statistics(norms, losses, self.clip_norm)


@contextmanager
def uncollected() -> Iterator[None]:
    """Switch off Python's search for reference cycles: a pass makes thousands of objects and leaves no cycle."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def unknown_layers(network: nn.Module) -> list[str]:
    """Names and kinds of the layers with trained parameters that have no rule."""
    return [
        f"'{name or 'the network itself'}' ({type(layer).__name__})"
        for name, layer in network.named_modules()
        if (own := trained(layer)) and not (type(layer) in RULES and own <= {"weight", "bias"} and accepted(layer))
    ]


def trained(layer: nn.Module) -> set[str]:
    """Names of a layer's own parameters that are trained."""
    return {name for name, parameter in layer.named_parameters(recurse=False) if parameter.requires_grad}


def accepted(layer: nn.Module) -> bool:
    """Whether the rule for this kind of layer supports the layer's options."""
    return RULES[type(layer)].accepts(layer)


def fused_or_opacus(model: Learner, clip_norm: float, precision: str = "fp32") -> ClippedSum:
    """The fused engine if every trained layer has a rule; otherwise Opacus' hooks, after a warning that says why.

    Args:
        model: a Learner whose network passes `check_network`.
        clip_norm: C > 0.
        precision: "fp32" or "bf16".

    Raises:
        UserError: if the network does not pass.
    """
    unknown = unknown_layers(model.trainable)
    if not unknown:
        return FusedEngine(model, clip_norm, precision)
    check_network(model.trainable)
    warnings.warn(
        f"finetune.engine: the fused engine does not know the layer {unknown[0]}"
        + (f" and {len(unknown) - 1} more" if unknown[1:] else "")
        + "; Opacus' hooks are used, which are slower and need more memory.",
        stacklevel=2,
    )
    return OpacusEngine(model, clip_norm, precision)


ENGINES["fused"] = fused_or_opacus
