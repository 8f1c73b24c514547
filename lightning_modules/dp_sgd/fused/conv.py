"""Per-record weight gradients of convolutions, without unfolding. SENSITIVE.

The shifted form (stride 1): images and output gradients are laid channels-last on one flat axis of positions, with
zeros between rows and images, so that what one tap of the kernel reads is a *shifted view* of the images. A tap's
gradient of every record is then one batched matrix product [B, C_out, L] x [B, L, C_in], L the positions of all draws.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_modules.dp_sgd.engine import at_least_float32
from lightning_modules.dp_sgd.fused.gradients import (
    Factored,
    Whole,
    exact_float32,
    ghost_squares,
    to_one,
    worth_factoring,
)
from lightning_modules.dp_sgd.fused.rule import autocast, over_draws, trains, values
from lightning_modules.dp_sgd.fused.tape import Tape

TOGETHER = 8  # records whose channels stand side by side in one grouped convolution
MANY = 1024
"""Positions of one draw from which oneDNN's grouped weight gradient is faster on the CPU than the shifted form; for
several draws it always is. Both where channels come in blocks of 16, for which it has fast kernels."""
NARROW = 64
"""With at most so many values a patch, or at most as many positions as output channels, patches are copied side by side
and all taps together make one product: the copies are then no larger than the gradients."""


@dataclass(frozen=True)
class FlatAxis:
    """Records of K images on one axis each: rows of `pitch` positions, `rows` of them an image.

    Every row of width W, and with several images every image of height H, is followed by enough zeros for the padding
    on both of its sides; so are both ends of the axis. heights: of input and output. padding, taps, dilation: height
    and width.
    """

    draws: int
    pitch: int
    rows: int
    heights: tuple[int, int]
    padding: tuple[int, int]
    taps: tuple[int, int]
    dilation: tuple[int, int]

    @classmethod
    def between(cls, layer: nn.Conv2d, padding: tuple[int, int], x: Tensor, gradient: Tensor, draws: int) -> FlatAxis:
        """The axis on which an input [N, C_in, H, W] and an output gradient [N, C_out, H', W'] of a layer both fit."""
        taps, dilation = cast("tuple[int, int]", layer.kernel_size), cast("tuple[int, int]", layer.dilation)
        rows = max(x.shape[2] + (padding[0] if draws > 1 else 0), gradient.shape[2])
        pitch = max(x.shape[3] + padding[1], gradient.shape[3])
        return cls(draws, pitch, rows, (x.shape[2], gradient.shape[2]), padding, taps, dilation)

    @property
    def length(self) -> int:
        """L: positions a record."""
        return self.draws * self.rows * self.pitch

    def shifts(self) -> list[int]:
        """How far along the axis each tap reads, in the order of the kernel's values."""
        (height, width), (down, right) = self.taps, self.dilation
        return [i * down * self.pitch + j * right for i in range(height) for j in range(width)]

    def ranges(self) -> list[slice]:
        """For each tap the positions at which it may read something else than zeros above or below an image."""
        (height, width), down = self.taps, self.dilation[0]
        if self.draws > 1:
            return [slice(0, self.length)] * (height * width)
        ranges = []
        for i in range(height):
            offset = i * down - self.padding[0]
            first, last = max(0, -offset), min(self.heights[1], self.heights[0] - offset)
            ranges += [slice(first * self.pitch, max(first, last) * self.pitch)] * width
        return ranges

    def patch_products(self, products: Tensor) -> Tensor:
        """Inner products [B, L, L] of the patches at L positions, from those of the positions that they read.

        One sum over the rows of the kernel, then one over its columns.
        """
        (height, width), (down, right) = self.taps, self.dilation
        across = self.length + (width - 1) * right
        rows = [slice(i * down * self.pitch, i * down * self.pitch + across) for i in range(height)]
        columns = [slice(j * right, j * right + self.length) for j in range(width)]
        return summed(summed(products, rows), columns)

    def laid(self, images: Tensor, before: int = 0, after: int = 0) -> Tensor:
        """Images [B * K, C, H, W] as [B, before + L + after, C] with zeros between and around them."""
        records, (channels, height, width) = len(images) // self.draws, images.shape[1:]
        last = images.permute(0, 2, 3, 1)
        if (before, after, height, width) == (0, 0, self.rows, self.pitch):
            return last.reshape(records, -1, channels)
        flat = images.new_empty(records, before + self.length + after, channels)
        flat[:, :before] = 0
        flat[:, before + self.length :] = 0
        inside = flat[:, before : before + self.length].view(records, self.draws, self.rows, self.pitch, channels)
        inside[:, :, height:] = 0
        inside[:, :, :height, width:] = 0
        inside[:, :, :height, :width] = last.unflatten(0, (records, self.draws))
        return flat

    def laid_input(self, x: Tensor) -> Tensor:
        """An input on the axis, begun early enough for the first tap and ended late enough for the last."""
        before = self.padding[0] * self.pitch + self.padding[1]
        return self.laid(x, before, self.shifts()[-1] - before)


def summed(products: Tensor, parts: list[slice]) -> Tensor:
    """The sum of square parts along the diagonal of [B, L, L]."""
    total = products[:, parts[0], parts[0]]
    if len(parts) > 1:
        total = total + products[:, parts[1], parts[1]]
    for part in parts[2:]:
        total += products[:, part, part]
    return total


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
    """The zeros on either side, None where the padding is uneven or not of zeros and so a step of its own."""
    if layer.padding_mode != "zeros" or isinstance(layer.padding, str):
        return None
    return cast("tuple[int, int]", layer.padding)


def convolution_backward(
    layer: nn.Conv2d, weight: Tensor, *, input: bool, groups: int | None = None
) -> Callable[[Tensor, Tensor], Tensor]:
    """From output gradient and input to the gradient of the input, or to that of the weight, summed over the batch.

    weight: its values count for the first, its shape and memory format for both. groups: the layer's unless given.
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
    """A batched matrix product a tap; see the head of this module."""
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

    The draws of some records stand as many images, their channels side by side, so that no two records meet in a group.
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
    with exact_float32():
        (g, g_scale), (a, a_scale) = to_one(rows), to_one(flat)
        patches = axis.patch_products(a @ a.transpose(1, 2))
        squares = ghost_squares(g @ g.transpose(1, 2), patches) * (g_scale * a_scale).square()

    def contract(scaled: Tensor, usable: Tensor | None) -> Tensor:
        images = x if usable is None else x.masked_fill(~usable[:, None, None, None], 0.0)
        return convolution_backward(layer, images.new_empty(layer.weight.shape), input=False)(scaled, images)

    return Factored(squares, gradient, contract)
