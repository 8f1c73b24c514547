"""Per-record gradients of GroupNorm and LayerNorm. SENSITIVE."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from lightning_modules.dp_sgd.engine import at_least_float32
from lightning_modules.dp_sgd.fused.gradients import Whole
from lightning_modules.dp_sgd.fused.rule import by_record, trains, values
from lightning_modules.dp_sgd.fused.tape import Tape


class GroupNormRule:
    """GroupNorm of [B * K, C, ...] with at least one dimension after the channels or none."""

    def accepts(self, layer: nn.GroupNorm) -> bool:
        return True

    def prepare(self, layer: nn.GroupNorm, x: Tensor) -> Tensor:
        return x.to(at_least_float32(x.dtype))

    def forward(self, layer: nn.GroupNorm, x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        rows, channels, size = len(x), x.shape[1], x[0, 0].numel()
        weight, bias = values(layer.weight, x), values(layer.bias, x)
        output, mean, rstd = torch.native_group_norm(x, weight, bias, rows, channels, size, layer.num_groups, layer.eps)
        return output, (mean, rstd)

    def backward(
        self, layer: nn.GroupNorm, tape: Tape, gradient: Tensor, x: Tensor, saved: tuple[Tensor, ...], needs_input: bool
    ) -> Tensor | None:
        sums = gradient.flatten(2).sum(dim=2)
        products = (gradient * x).flatten(2).sum(dim=2)
        mean, rstd = (value[:, :, None] for value in saved)
        by_group = (len(x), layer.num_groups, -1)
        if trains(layer.bias):
            tape.add(layer.bias, Whole.of(by_record(tape, sums).sum(dim=1)))
        if trains(layer.weight):
            centred = (products.view(by_group) - mean * sums.view(by_group)) * rstd
            tape.add(layer.weight, Whole.of(by_record(tape, centred.flatten(1)).sum(dim=1)))
        return group_norm_input_gradient(layer, gradient, x, saved, sums, products) if needs_input else None


def group_norm_input_gradient(
    layer: nn.GroupNorm, gradient: Tensor, x: Tensor, saved: tuple[Tensor, ...], sums: Tensor, products: Tensor
) -> Tensor:
    """The gradient of a GroupNorm's input from sums of the output gradient, and of its product with x, by [B * K, C].

    Two passes over memory in either memory format, where PyTorch's own kernel is several times slower channels-last.
    """
    by_group = (len(x), layer.num_groups, -1)
    weight = x.new_ones(x.shape[1]) if layer.weight is None else cast(Tensor, values(layer.weight, x))
    mean, rstd = (value[:, :, None] for value in saved)
    weights = weight.view(1, layer.num_groups, -1)
    count = weights.shape[2] * x[0, 0].numel()
    sum_, product = ((weights * value.view(by_group)).sum(dim=2, keepdim=True) for value in (sums, products))
    slope = (sum_ * mean - product) * rstd**3 / count
    offset = -slope * mean - sum_ * rstd / count
    scale = rstd * weights

    def spread(value: Tensor) -> Tensor:
        return value.expand(len(x), layer.num_groups, weights.shape[2]).reshape(*x.shape[:2], *[1] * (x.dim() - 2))

    return torch.addcmul(spread(offset), x, spread(slope)).addcmul_(gradient, spread(scale))


class LayerNormRule:
    """LayerNorm over the last dimensions of [B * K, ...]."""

    def accepts(self, layer: nn.LayerNorm) -> bool:
        return True

    def prepare(self, layer: nn.LayerNorm, x: Tensor) -> Tensor:
        return x.to(at_least_float32(x.dtype))

    def forward(self, layer: nn.LayerNorm, x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        shape = list(layer.normalized_shape)
        output, mean, rstd = torch.native_layer_norm(
            x, shape, values(layer.weight, x), values(layer.bias, x), layer.eps
        )
        return output, (mean, rstd)

    def backward(
        self, layer: nn.LayerNorm, tape: Tape, gradient: Tensor, x: Tensor, saved: tuple[Tensor, ...], needs_input: bool
    ) -> Tensor | None:
        mean, rstd = saved
        shape = list(layer.normalized_shape)
        if trains(layer.bias):
            tape.add(layer.bias, Whole.of(gradient.reshape(tape.records, -1, *shape).sum(dim=1)))
        if trains(layer.weight):
            products = gradient * ((x - mean) * rstd)
            tape.add(layer.weight, Whole.of(products.reshape(tape.records, -1, *shape).sum(dim=1)))
        if not needs_input:
            return None
        weight, bias = values(layer.weight, x), values(layer.bias, x)
        mask = [True, False, False]
        return torch.ops.aten.native_layer_norm_backward(gradient, x, shape, mean, rstd, weight, bias, mask)[0]
