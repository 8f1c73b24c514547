"""Per-record gradients of linear layers.

Sensitive: inputs, gradients and all results.
"""

from __future__ import annotations

from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from lightning_modules.dp_sgd.engine import at_least_float32
from lightning_modules.dp_sgd.fused.gradients import (
    Factored,
    Whole,
    outer_product_squares,
    worth_factoring,
)
from lightning_modules.dp_sgd.fused.rule import autocast, trains, values
from lightning_modules.dp_sgd.fused.tape import Tape


class LinearRule:
    """Linear layers with any dimensions between the records and the features."""

    def accepts(self, layer: nn.Linear) -> bool:
        return True

    def prepare(self, layer: nn.Linear, x: Tensor) -> Tensor:
        return autocast(x)

    def forward(self, layer: nn.Linear, x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        return F.linear(x, cast(Tensor, values(layer.weight, x)), values(layer.bias, x)), ()

    def backward(
        self, layer: nn.Linear, tape: Tape, gradient: Tensor, x: Tensor, saved: tuple[Tensor, ...], needs_input: bool
    ) -> Tensor | None:
        rows, outputs = (tensor.reshape(tape.records, -1, tensor.shape[-1]) for tensor in (x, gradient))
        if trains(layer.bias):
            tape.add(layer.bias, Whole.of(outputs.sum(dim=1)))
        if trains(layer.weight):
            positions, size = rows.shape[1], layer.weight.numel()
            factoring = worth_factoring(positions, layer.in_features, layer.out_features, size)
            if factoring and tape.used_once(layer.weight):
                tape.add(layer.weight, linear_factored(rows, outputs))
            else:
                tape.add(layer.weight, Whole.of(outputs.transpose(1, 2) @ rows))
        return gradient @ cast(Tensor, values(layer.weight, gradient)) if needs_input else None


def linear_factored(rows: Tensor, outputs: Tensor) -> Factored:
    """The gradient of a linear layer, not held.

    Args:
        rows: input [B, L, in].
        outputs: output gradient [B, L, out].
    """
    precision = at_least_float32(outputs.dtype)
    rows, outputs = rows.detach().to(precision), outputs.to(precision)

    def contract(scaled: Tensor, usable: Tensor | None) -> Tensor:
        inputs = rows.flatten(0, 1)
        if usable is not None:
            inputs = inputs.masked_fill(~usable.repeat_interleave(len(inputs) // len(usable))[:, None], 0.0)
        return scaled.flatten(0, -2).t() @ inputs

    return Factored(outer_product_squares(outputs, rows), outputs, contract)
