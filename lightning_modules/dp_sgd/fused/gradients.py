"""What a backward pass leaves of the gradient of each record: enough for its norm, then for the clipped sum.

A layer leaves one of two things for a parameter. `Whole`: the per-record gradients themselves. `Factored`: the layer's
input and output gradient, from which the norm follows without the gradients (ghost norm: Goodfellow 2015; Li et al.
2022) and then the clipped sum in one contraction over all records (book-keeping: Bu et al. 2023). SENSITIVE.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from lightning_modules.dp_sgd.engine import exact_float32, squared_norms

GHOST = 1 / 6
"""Below this ratio a gradient is not held. With L positions a record (its draws counted) and a matrix of a x b values,
L (a + b) / (a b) is what input and output gradient take over what the record's gradient takes, and also what the norm
costs over what the weight gradient costs: there it is cheap, and saves five sixths of the memory."""
LARGE = 2**16  # values a record below which holding them costs nothing worth saving


def worth_factoring(positions: int, inputs: int, outputs: int, size: int) -> bool:
    """Whether a gradient of `size` values, a sum of outer products at so many positions, had better not be held."""
    return size >= LARGE and positions * (inputs + outputs) < GHOST * size


class RecordGradient(Protocol):
    """The gradient of one parameter for each of B records."""

    def squared_norms(self) -> Tensor:
        """Squares [B], at least float32, of the norms of the very values that `weighted_sum` adds up."""
        ...

    def weighted_sum(self, factors: Tensor, usable: Tensor | None) -> Tensor:
        """Sum over records of factor [B] times gradient, flat [p]. Records outside `usable` [B] add zero."""
        ...


@dataclass
class Whole:
    """Per-record gradients in `pieces` [T, B, m], such as one piece for each tap of a kernel.

    A record's gradient is its T x m values. Where they do not stand in the parameter's order, they have the given
    `shape`, and its axes in the given `order` are the parameter's.
    """

    pieces: Tensor
    shape: tuple[int, ...] = ()
    order: tuple[int, ...] = ()

    @classmethod
    def of(cls, gradients: Tensor) -> Whole:
        """From gradients [B, *shape of the parameter]."""
        return cls(gradients[None] if gradients.dim() == 2 else gradients.reshape(1, len(gradients), -1))

    def squared_norms(self) -> Tensor:
        taps, records, size = self.pieces.shape
        return squared_norms(self.pieces.reshape(taps * records, size)).view(taps, records).sum(dim=0)

    def weighted_sum(self, factors: Tensor, usable: Tensor | None) -> Tensor:
        pieces = self.pieces
        if usable is not None:  # 0 * nan is nan: a factor of zero is not enough
            pieces = pieces.masked_fill(~usable[:, None], 0.0)
        if pieces.dtype == factors.dtype:
            total = factors @ pieces
        else:
            total = torch.stack([factors @ piece.to(factors.dtype) for piece in pieces])
        return (total.reshape(self.shape).permute(self.order) if self.order else total).reshape(-1)

    def __add__(self, other: Whole) -> Whole:
        """The gradients of two uses of one parameter, added record by record."""
        if (self.pieces.shape, self.shape, self.order) == (other.pieces.shape, other.shape, other.order):
            return Whole(self.pieces + other.pieces, self.shape, self.order)
        return Whole(self.in_order().pieces + other.in_order().pieces)

    def in_order(self) -> Whole:
        """The same gradients as one piece in the parameter's order."""
        records = self.pieces.transpose(0, 1)
        if self.order:
            records = records.reshape(-1, *self.shape).permute(0, *(axis + 1 for axis in self.order))
        return Whole.of(records)


@dataclass
class Factored:
    """A gradient that is not held: its squared norms [B] and how to contract its factors.

    contract: maps the layer's output gradient, scaled by record, to the parameter's gradient [*shape].
    output_gradient: [B * K, ...], float32 or wider.
    """

    squares: Tensor
    output_gradient: Tensor
    contract: Callable[[Tensor, Tensor | None], Tensor]

    def squared_norms(self) -> Tensor:
        return self.squares

    def weighted_sum(self, factors: Tensor, usable: Tensor | None) -> Tensor:
        by_record = self.output_gradient.unflatten(0, (len(factors), -1))
        weights = factors.reshape(-1, *[1] * (by_record.dim() - 1))
        scaled = by_record * weights
        if usable is not None:
            scaled = scaled.masked_fill(~usable.reshape(weights.shape), 0.0)
        rows = None if usable is None else usable.repeat_interleave(by_record.shape[1])
        return self.contract(scaled.flatten(0, 1), rows).reshape(-1)


def to_one(x: Tensor) -> tuple[Tensor, Tensor]:
    """A factor [B, L, m] over its largest value in each record, and these values [B]: products cannot underflow."""
    largest = x.abs().amax(dim=(1, 2))
    largest = torch.where(largest > 0, largest, torch.ones_like(largest))
    return x / largest[:, None, None], largest


def outer_product_squares(
    outputs: Tensor, inputs: Tensor, between: Callable[[Tensor], Tensor] = lambda products: products
) -> Tensor:
    """Squared norms [B] of gradients that are sums over L positions of outer products, without the gradients.

    outputs: output gradients [B, L, m]; inputs: [B, L', n], float32 or wider. between: from the inner products
    [B, L', L'] of the inputs to those [B, L, L] of what each output gradient is multiplied with.
    """
    with exact_float32():
        (g, g_scale), (a, a_scale) = to_one(outputs), to_one(inputs)
        squares = ghost_squares(g @ g.transpose(1, 2), between(a @ a.transpose(1, 2)))
    return squares * (g_scale * a_scale).square()


def ghost_squares(output_products: Tensor, input_products: Tensor) -> Tensor:
    """Squared norms [B] of sums of outer products, never below the exact ones.

    Both are inner products [B, L, L] between the L output gradients, or the L inputs, of a record; the square is the
    sum of their product (Li et al. 2022, Eq. 3). Terms of both signs may cancel, and then the rounding error is not
    small against the norm, so a bound of it is added: 64 units in the last place of (sum of |g| |a|)^2.
    """
    squares = (output_products * input_products).sum(dim=(1, 2))
    lengths = (output_products.diagonal(dim1=1, dim2=2) * input_products.diagonal(dim1=1, dim2=2)).clamp(min=0).sqrt()
    bound = 64 * torch.finfo(squares.dtype).eps * lengths.sum(dim=1).square()
    return squares + bound
