"""Images on one axis of positions, on which every tap of a convolution is a shift.

Images and output gradients are laid out channels-last, with zeros between rows and images.

Sensitive: images, gradients and all results.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from torch import Tensor, nn


@dataclass(frozen=True)
class FlatAxis:
    """Records of K images on one axis each: each image is `rows` rows of `pitch` positions.

    Every row of width W is followed by enough zeros for the padding on both of its sides; with several images, so is
    every image of height H. Both ends of the axis have such zeros as well.
    """

    draws: int
    """K, images per record."""
    pitch: int
    """Positions per row."""
    rows: int
    """Rows per image."""
    heights: tuple[int, int]
    """Heights of input and output."""
    padding: tuple[int, int]
    """Zeros on either side, in height and width."""
    taps: tuple[int, int]
    """Height and width of the kernel."""
    dilation: tuple[int, int]
    """Distance between taps, in height and width."""

    @classmethod
    def between(cls, layer: nn.Conv2d, padding: tuple[int, int], x: Tensor, gradient: Tensor, draws: int) -> FlatAxis:
        """The axis on which an input and an output gradient of a layer both fit.

        Args:
            layer: the convolution, of stride 1.
            padding: zeros above and below, left and right.
            x: input [N, C_in, H, W].
            gradient: output gradient [N, C_out, H', W'].
            draws: K, images per record.
        """
        taps, dilation = cast("tuple[int, int]", layer.kernel_size), cast("tuple[int, int]", layer.dilation)
        rows = max(x.shape[2] + (padding[0] if draws > 1 else 0), gradient.shape[2])
        pitch = max(x.shape[3] + padding[1], gradient.shape[3])
        return cls(draws, pitch, rows, (x.shape[2], gradient.shape[2]), padding, taps, dilation)

    @property
    def length(self) -> int:
        """L: positions per record."""
        return self.draws * self.rows * self.pitch

    def shifts(self) -> list[int]:
        """How far along the axis each tap reads, in the order of the kernel's values."""
        (height, width), (down, right) = self.taps, self.dilation
        return [i * down * self.pitch + j * right for i in range(height) for j in range(width)]

    def ranges(self) -> list[slice]:
        """For each tap, the positions at which it may read more than the zeros above or below an image."""
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
        """Inner products [B, L, L] of the patches at L positions.

        They are sums of inner products of the positions that the patches read: over the rows of the kernel, then over
        its columns.

        Args:
            products: inner products [B, L', L'] of the positions of a laid-out input.
        """
        (height, width), (down, right) = self.taps, self.dilation
        across = self.length + (width - 1) * right
        rows = [slice(i * down * self.pitch, i * down * self.pitch + across) for i in range(height)]
        columns = [slice(j * right, j * right + self.length) for j in range(width)]
        return summed(summed(products, rows), columns)

    def laid(self, images: Tensor, before: int = 0, after: int = 0) -> Tensor:
        """Images [B * K, C, H, W] as [B, before + L + after, C], with zeros between and around them."""
        records, (channels, height, width) = len(images) // self.draws, images.shape[1:]
        last = images.permute(0, 2, 3, 1)
        if (before, after, height, width) == (0, 0, self.rows, self.pitch):
            return last.reshape(records, -1, channels)
        flat = images.new_zeros(records, before + self.length + after, channels)
        inside = flat[:, before : before + self.length].view(records, self.draws, self.rows, self.pitch, channels)
        inside[:, :, :height, :width] = last.unflatten(0, (records, self.draws))
        return flat

    def laid_input(self, x: Tensor) -> Tensor:
        """An input on the axis, which starts early enough for the first tap and ends late enough for the last."""
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
