"""Per-record gradients of GroupNorm and LayerNorm.

Sensitive: inputs, gradients and all results.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn

from lightning_modules.dp_sgd.engine import at_least_float32
from lightning_modules.dp_sgd.fused.gradients import Whole
from lightning_modules.dp_sgd.fused.rule import over_draws, trains, values
from lightning_modules.dp_sgd.fused.tape import Tape

SLOW = 1024
"""Below this many positions, PyTorch's own GroupNorm is several times slower channels-last than the sums it needs: it
reads memory group by group, a few channels at a time. On a GPU it cannot read channels-last at all."""


class GroupNormRule:
    """GroupNorm of [B * K, C, ...], with any number of dimensions after the channels."""

    def accepts(self, layer: nn.GroupNorm) -> bool:
        return True

    def prepare(self, layer: nn.GroupNorm, x: Tensor) -> Tensor:
        return x.to(at_least_float32(x.dtype))

    def forward(self, layer: nn.GroupNorm, x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        rows, channels, size = x.shape[0], x.shape[1], math.prod(x.shape[2:])
        weight, bias = values(layer.weight, x), values(layer.bias, x)
        on_cpu = x.device.type == "cpu"
        if (size < SLOW or not on_cpu) and x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last):
            output, mean, rstd = group_norm_by_channel(layer, x, weight, bias)
        else:
            groups, x = layer.num_groups, x if on_cpu else x.contiguous()  # the only order of PyTorch's kernel on a GPU
            output, mean, rstd = torch.native_group_norm(x, weight, bias, rows, channels, size, groups, layer.eps)
        return output, (mean, rstd)

    def backward(
        self, layer: nn.GroupNorm, tape: Tape, gradient: Tensor, x: Tensor, saved: tuple[Tensor, ...], needs_input: bool
    ) -> Tensor | None:
        flat = (x.shape[0], x.shape[1], -1)
        sums = gradient.reshape(flat).sum(dim=2)
        products = (gradient * x).reshape(flat).sum(dim=2)
        by_group = torch.stack([sums, products]).view(2, x.shape[0], layer.num_groups, -1)
        mean, rstd = saved
        if trains(layer.bias):
            tape.add(layer.bias, Whole.of(over_draws(tape, sums)))
        if trains(layer.weight):
            centred = torch.addcmul(by_group[1], by_group[0], mean[:, :, None], value=-1).mul_(rstd[:, :, None])
            tape.add(layer.weight, Whole.of(over_draws(tape, centred.flatten(1))))
        return group_norm_input_gradient(layer, gradient, x, mean, rstd, by_group) if needs_input else None


def group_norm_by_channel(
    layer: nn.GroupNorm, x: Tensor, weight: Tensor | None, bias: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Output, means and inverse deviations [B * K, G] of a GroupNorm, from sums over the positions of each channel."""
    rows, channels = x.shape[:2]
    each = channels // layer.num_groups
    sums = torch.stack([x.sum(dim=(2, 3)), x.square().sum(dim=(2, 3))]).view(2, rows, layer.num_groups, each)
    mean, squares = sums.sum(dim=3).div_(each * x.shape[2] * x.shape[3])
    rstd = torch.addcmul(squares, mean, mean, value=-1).clamp_(min=0).add_(layer.eps).rsqrt_()
    shape = (layer.num_groups, each)
    scale = rstd[:, :, None].expand(-1, -1, each) if weight is None else rstd[:, :, None] * weight.view(shape)
    start = scale.new_zeros(shape) if bias is None else bias.view(shape)
    offset = torch.addcmul(start, scale, mean[:, :, None], value=-1)
    by_channel = (rows, channels, 1, 1)
    return torch.addcmul(offset.view(by_channel), x, scale.reshape(by_channel)), mean, rstd


def group_norm_input_gradient(
    layer: nn.GroupNorm, gradient: Tensor, x: Tensor, mean: Tensor, rstd: Tensor, by_group: Tensor
) -> Tensor:
    """The gradient of a GroupNorm's input.

    Takes two passes over memory in either memory format; PyTorch's own kernel is several times slower channels-last.

    Args:
        layer: the GroupNorm.
        gradient: output gradient [B * K, C, ...].
        x: input [B * K, C, ...].
        mean: means [B * K, G].
        rstd: inverse deviations [B * K, G].
        by_group: sums of the output gradient, and of its product with x, [2, B * K, G, C / G].
    """
    each = by_group.shape[3]
    count = each * math.prod(x.shape[2:])
    if layer.weight is not None:
        weights = cast(Tensor, values(layer.weight, x)).view(layer.num_groups, each)
        by_group, scale = by_group * weights, rstd[:, :, None] * weights
    else:
        scale = rstd[:, :, None].expand(-1, -1, each)
    total, product = by_group.sum(dim=3)
    slope = (total * mean - product) * rstd.pow(3) / count
    offset = torch.addcmul(total * rstd / count, slope, mean).neg_()
    shape = (*x.shape[:2], *[1] * (x.dim() - 2))
    offset, slope = torch.stack([offset, slope]).repeat_interleave(each, dim=2).view(2, *shape)
    return torch.addcmul(offset, x, slope).addcmul_(gradient, scale.reshape(shape))


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
