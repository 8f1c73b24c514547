"""Per-record weight gradients of convolutions.

The shifted form (stride 1, see `flat_axis`): what one tap of the kernel reads is a *shifted view* of the images. So the
gradient of one tap, for all records, is one batched matrix product [B, C_out, L] x [B, L, C_in], where L is the number
of positions of all draws.

The grouped form (any convolution): the ordinary weight gradient of one convolution whose groups are the records.

Sensitive: images, gradients and all results.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_modules.dp_sgd.engine import at_least_float32
from lightning_modules.dp_sgd.fused.flat_axis import FlatAxis
from lightning_modules.dp_sgd.fused.gradients import (
    Factored,
    Whole,
    outer_product_squares,
    worth_factoring,
)
from lightning_modules.dp_sgd.fused.rule import autocast, over_draws, trains, values
from lightning_modules.dp_sgd.fused.tape import Tape

TOGETHER = 4  # records whose channels are next to each other in one grouped convolution
MANY = 1024
"""With this many positions of one draw or more, oneDNN's grouped weight gradient is faster on the CPU than the shifted
form. With several draws it always is. Both hold if channels come in blocks of 16, for which it has fast kernels."""
NARROW = 64
"""With at most this many values per patch, or at most as many positions as output channels, patches are copied next to
each other and all taps together make one product: the copies are then not larger than the gradients."""


class Conv2dRule:
    """Two-dimensional convolutions with any kernel, stride, padding, dilation and groups."""

    def accepts(self, layer: nn.Conv2d) -> bool:
        return True

    def prepare(self, layer: nn.Conv2d, x: Tensor) -> Tensor:
        if x.dim() != 4:
            raise RuntimeError(f"a convolution got {tuple(x.shape)}; give it [records x draws, channels, H, W]")
        if padding_of(layer) is None:
            mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
            x = F.pad(x, layer._reversed_padding_repeated_twice, mode=mode)
        return autocast(x)

    def forward(self, layer: nn.Conv2d, x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        weight = cast(Tensor, values(layer.weight, x))
        padding = padding_of(layer) or (0, 0)
        bias = values(layer.bias, x)
        return F.conv2d(x, weight, bias, layer.stride, padding, layer.dilation, layer.groups), ()

    def backward(
        self, layer: nn.Conv2d, tape: Tape, gradient: Tensor, x: Tensor, saved: tuple[Tensor, ...], needs_input: bool
    ) -> Tensor | None:
        if trains(layer.bias):
            tape.add(layer.bias, Whole.of(over_draws(tape, gradient.flatten(2).sum(dim=2))))
        if trains(layer.weight):
            tape.add(layer.weight, weight_gradient(layer, tape, x, gradient))
        if not needs_input:
            return None
        return convolution_backward(layer, cast(Tensor, values(layer.weight, x)), input=True)(gradient, x)


def padding_of(layer: nn.Conv2d) -> tuple[int, int] | None:
    """The zeros on either side; None if the padding is uneven or not of zeros, and so a step of its own."""
    if layer.padding_mode != "zeros" or isinstance(layer.padding, str):
        return None
    return cast("tuple[int, int]", layer.padding)


def convolution_backward(
    layer: nn.Conv2d, weight: Tensor, *, input: bool, groups: int | None = None
) -> Callable[[Tensor, Tensor], Tensor]:
    """A function from output gradient and input to the gradient of the input, or of the weight summed over the batch.

    Args:
        layer: the convolution.
        weight: for the gradient of the input, its values count; for both, its shape and memory format.
        input: true for the gradient of the input, false for that of the weight.
        groups: default: those of the layer.
    """
    padding, mask = list(padding_of(layer) or (0, 0)), [input, not input, False]
    stride, dilation, groups = list(layer.stride), list(layer.dilation), groups or layer.groups
    backward, which = torch.ops.aten.convolution_backward.default, 0 if input else 1

    def gradient_of(gradient: Tensor, x: Tensor) -> Tensor:
        return backward(gradient, x, weight, None, stride, padding, dilation, False, [0, 0], groups, mask)[which]

    return gradient_of


def weight_gradient(layer: nn.Conv2d, tape: Tape, x: Tensor, gradient: Tensor) -> Whole | Factored:
    """The weight's gradient of each record, in the form that costs least."""
    padding, (inputs, outputs) = padding_of(layer) or (0, 0), (layer.in_channels, layer.out_channels)
    reach = [dilation * (taps - 1) for dilation, taps in zip(layer.dilation, layer.kernel_size, strict=True)]
    shiftable = (
        layer.groups == 1 and set(layer.stride) == {1} and all(p <= r for p, r in zip(padding, reach, strict=True))
    )
    if not shiftable:
        return side_by_side(layer, tape, x, gradient)
    positions = tape.multiplicity * gradient[0, 0].numel()
    axis = FlatAxis.between(layer, padding, x, gradient, tape.multiplicity)
    if worth_factoring(positions, inputs, outputs, layer.weight.numel()) and tape.used_once(layer.weight):
        return factored(layer, axis, x, gradient)
    blocked = inputs % 16 == outputs % 16 == 0 and len(axis.shifts()) > 1
    if x.device.type == "cpu" and blocked and (tape.multiplicity > 1 or positions >= MANY):
        return side_by_side(layer, tape, x, gradient)
    return shifted(axis, x, gradient)


def shifted(axis: FlatAxis, x: Tensor, gradient: Tensor) -> Whole:
    """One batched matrix product per tap; see the top of this module."""
    flat, outputs = axis.laid_input(x), axis.laid(gradient).transpose(1, 2)
    (records, wide, _), narrow, shifts = outputs.shape, flat.shape[2], axis.shifts()
    taps = len(shifts)
    if taps > 1 and (taps * narrow <= NARROW or gradient[0, 0].numel() * axis.draws <= wide):
        patches = torch.cat([flat[:, shift : shift + axis.length] for shift in shifts], dim=2)
        return Whole((outputs @ patches).flatten(1)[None], (wide, taps, narrow), (0, 2, 1))
    pieces = outputs.new_empty(taps, records, wide, narrow)
    for piece, shift, part in zip(pieces, shifts, axis.ranges(), strict=True):
        torch.bmm(outputs[:, :, part], flat[:, part.start + shift : part.stop + shift], out=piece)
    return Whole(pieces.flatten(2), (taps, wide * narrow), (1, 0))


def side_by_side(layer: nn.Conv2d, tape: Tape, x: Tensor, gradient: Tensor) -> Whole:
    """The framework's own weight gradient of a grouped convolution, whose groups are records: for every convolution.

    The draws of a few records form as many images, with the records' channels next to each other, so that no two
    records share a group.
    """
    parts = zip(*(value.split(TOGETHER * tape.multiplicity) for value in (x, gradient)), strict=True)
    found = [grouped(layer, tape.multiplicity, images, rows) for images, rows in parts]
    wide, narrow, *taps = layer.weight.shape
    return Whole(torch.cat(found)[None], (wide, math.prod(taps), narrow), (0, 2, 1))


def grouped(layer: nn.Conv2d, draws: int, x: Tensor, gradient: Tensor) -> Tensor:
    """Weight gradients [R, C_out * taps * (C_in / groups)] of the R records whose draws are x [R * K, C_in, H, W]."""
    records = len(x) // draws

    def abreast(images: Tensor) -> Tensor:
        """[R * K, C, H, W] -> [K, R * C, H, W], channels-last."""
        channels, height, width = images.shape[1:]
        last = images.reshape(records, draws, channels, height, width).permute(1, 3, 4, 0, 2)
        return last.reshape(draws, height, width, records * channels).permute(0, 3, 1, 2)

    weight = x.new_empty(records * layer.weight.shape[0], *layer.weight.shape[1:])
    backward = convolution_backward(layer, weight, input=False, groups=records * layer.groups)
    return backward(abreast(gradient), abreast(x)).permute(0, 2, 3, 1).reshape(records, -1)


def factored(layer: nn.Conv2d, axis: FlatAxis, x: Tensor, gradient: Tensor) -> Factored:
    """The gradient of many channels at few positions: norms from inner products between positions.

    The inner product of two unfolded patches is a sum over taps of inner products between shifted positions, so nothing
    is unfolded here either.
    """
    precision = at_least_float32(gradient.dtype)
    x, gradient = x.detach().to(precision), gradient.to(precision)
    flat, rows = axis.laid_input(x), axis.laid(gradient)
    squares = outer_product_squares(rows, flat, axis.patch_products)

    def contract(scaled: Tensor, usable: Tensor | None) -> Tensor:
        images = x if usable is None else x.masked_fill(~usable[:, None, None, None], 0.0)
        return convolution_backward(layer, images.new_empty(layer.weight.shape), input=False)(scaled, images)

    return Factored(squares, gradient, contract)
