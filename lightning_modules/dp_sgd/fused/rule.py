"""How the fused engine runs a layer.

A rule runs a layer on the values of its parameters, without their gradients. In the backward pass it enters the
gradient of each record in the tape instead. The ordinary weight gradient, a sum over records, is never computed.

Sensitive: inputs, gradients and all results.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from lightning_modules.dp_sgd.fused.tape import Tape


class Rule(Protocol):
    """How one kind of layer is run forward and backward."""

    def accepts(self, layer: Any) -> bool:
        """Whether the rule supports this layer with its options."""
        ...

    def prepare(self, layer: Any, x: Tensor) -> Tensor:
        """The layer's input as `forward` needs it; ordinary autograd sees this part."""
        ...

    def forward(self, layer: Any, x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The layer's output, and what the backward pass needs in addition to the input."""
        ...

    def backward(
        self, layer: Any, tape: Tape, gradient: Tensor, x: Tensor, saved: tuple[Tensor, ...], needs_input: bool
    ) -> Tensor | None:
        """Enter the gradients of the layer's trained parameters in the tape.

        Args:
            layer: the layer.
            tape: collects the gradients.
            gradient: output gradient.
            x: input, as `prepare` returned it.
            saved: what `forward` returned for the backward pass.
            needs_input: whether the gradient of the input is needed.

        Returns:
            The gradient of the input, if it is needed.
        """
        ...


class _Recorded(torch.autograd.Function):
    """One use of a layer. The anchor makes autograd call `backward` even if the input needs no gradient."""

    @staticmethod
    def forward(ctx: Any, anchor: Tensor, x: Tensor, layer: nn.Module, rule: Rule, tape: Tape) -> Tensor:
        output, saved = rule.forward(layer, x)
        ctx.save_for_backward(x, *saved)
        ctx.layer, ctx.rule, ctx.tape = layer, rule, tape
        return output

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, *saved = ctx.saved_tensors
        needs_input = ctx.needs_input_grad[1]
        back = ctx.rule.backward(ctx.layer, ctx.tape, gradients[0], x, tuple(saved), needs_input)
        return None, back, None, None, None


def recorded(name: str, layer: nn.Module, rule: Rule, tape: Tape) -> Callable[[Tensor], Tensor]:
    """The forward of a layer that records per-record gradients on the tape."""

    own = list(layer.parameters(recurse=False))

    def forward(input: Tensor) -> Tensor:  # the argument's name in the layers themselves
        tape.check_rows(name, input)
        for parameter in own:
            tape.used(parameter)
        return cast(Tensor, _Recorded.apply(tape.anchor, rule.prepare(layer, input), layer, rule, tape))

    return forward


def values(parameter: Tensor | None, like: Tensor) -> Tensor | None:
    """A parameter without its gradient, in the precision of a layer's input."""
    if parameter is None:
        return None
    value = parameter.detach()
    return value if value.dtype == like.dtype else value.to(like.dtype)


def trains(parameter: Tensor | None) -> bool:
    """Whether the gradient of a layer's weight or bias is needed."""
    return parameter is not None and parameter.requires_grad


def autocast(x: Tensor) -> Tensor:
    """An input in the precision that autocast uses for matrix products."""
    kind = x.device.type
    return x.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else x


def over_draws(tape: Tape, x: Tensor) -> Tensor:
    """Sums over the draws of each record, [B * K, C] -> [B, C]."""
    return x if tape.multiplicity == 1 else x.view(tape.records, tape.multiplicity, -1).sum(dim=1)
