"""Images on one axis of positions, on which every tap of a convolution is a shift. SENSITIVE.

Images and output gradients are laid channels-last, with zeros between rows and images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from torch import Tensor, nn


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
        flat = images.new_zeros(records, before + self.length + after, channels)
        inside = flat[:, before : before + self.length].view(records, self.draws, self.rows, self.pitch, channels)
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
