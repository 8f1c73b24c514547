"""What a backward pass keeps of each record's gradient: enough for its norm, then for the clipped sum.

A layer leaves one of two things for a parameter. `Whole`: the per-record gradients themselves. `Factored`: the layer's
input and output gradient. From these follows the norm without the gradients (ghost norm: Goodfellow 2015; Li et al.
2022), and then the clipped sum in one contraction over all records (book-keeping: Bu et al. 2023).

Sensitive: everything here is as sensitive as the records.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from lightning_modules.dp_sgd.engine import squared_norms
from lightning_modules.precision import exact_float32

GHOST = 1 / 6
"""Below this ratio a gradient is not held. With L positions per record (over all its draws) and a matrix of a x b
values, the ratio L (a + b) / (a b) is the memory of input and output gradient divided by that of the record's gradient.
It is also the cost of the norm divided by that of the weight gradient. So below 1/6 the norm is cheap, and at least
five sixths of the memory are saved."""
LARGE = 2**16  # values per record; holding fewer takes too little memory to be worth saving


def worth_factoring(positions: int, inputs: int, outputs: int, size: int) -> bool:
    """Whether it is better not to hold a gradient.

    Args:
        positions: L, the outer products that the gradient is a sum of, per record.
        inputs: a, values of the input at each position.
        outputs: b, values of the output gradient at each position.
        size: values of the gradient.
    """
    return size >= LARGE and positions * (inputs + outputs) < GHOST * size


class RecordGradient(Protocol):
    """The gradient of one parameter for each of B records."""

    def squared_norms(self) -> Tensor:
        """Squares [B], at least float32, of the norms of the same values that `weighted_sum` adds up."""
        ...

    def weighted_sum(self, factors: Tensor, usable: Tensor | None) -> Tensor:
        """Sum over records of factor times gradient, flat [p].

        Args:
            factors: [B].
            usable: bool [B], or None for all; other records add zero.
        """
        ...


@dataclass
class Whole:
    """Per-record gradients in pieces, such as one piece for each tap of a kernel."""

    pieces: Tensor
    """[T, B, m]; a record's gradient is its T x m values."""
    shape: tuple[int, ...] = ()
    """Shape of these values, if they are not in the parameter's order."""
    order: tuple[int, ...] = ()
    """The axes of `shape` in the parameter's order."""

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
    """A gradient that is not held: its squared norms and how to contract its factors."""

    squares: Tensor
    """Squared norms [B]."""
    output_gradient: Tensor
    """The layer's output gradient [B * K, ...], float32 or wider."""
    contract: Callable[[Tensor, Tensor | None], Tensor]
    """From the output gradient, scaled by record, and usable rows (None: all) to the parameter's gradient [*shape]."""

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
    """A factor [B, L, m] divided by its largest absolute value in each record, and these values [B].

    So products of factors cannot underflow. If all values are zero, the divisor is 1.
    """
    largest = x.abs().amax(dim=(1, 2))
    largest = torch.where(largest > 0, largest, torch.ones_like(largest))
    return x / largest[:, None, None], largest


def outer_product_squares(
    outputs: Tensor, inputs: Tensor, between: Callable[[Tensor], Tensor] = lambda products: products
) -> Tensor:
    """Squared norms [B] of gradients that are sums over L positions of outer products, without the gradients.

    Args:
        outputs: output gradients [B, L, m], float32 or wider.
        inputs: [B, L', n], float32 or wider.
        between: from the inner products [B, L', L'] of the inputs to those [B, L, L] of what each output gradient is
            multiplied with.
    """
    with exact_float32():
        (g, g_scale), (a, a_scale) = to_one(outputs), to_one(inputs)
        squares = ghost_squares(g @ g.transpose(1, 2), between(a @ a.transpose(1, 2)))
    return squares * (g_scale * a_scale).square()


def ghost_squares(output_products: Tensor, input_products: Tensor) -> Tensor:
    """Squared norms [B] of sums of outer products, never below the exact ones.

    The square is the sum of the product of both arguments. Terms of both signs may cancel, and then the rounding error
    is not small compared with the norm. So a bound of it is added: 64 units in the last place of (sum of |g| |a|)^2.

    Args:
        output_products: inner products [B, L, L] between the L output gradients of a record.
        input_products: inner products [B, L, L] between the L inputs of a record.

    Source: Li et al. 2022, Eq. 3.
    """
    squares = (output_products * input_products).sum(dim=(1, 2))
    lengths = (output_products.diagonal(dim1=1, dim2=2) * input_products.diagonal(dim1=1, dim2=2)).clamp(min=0).sqrt()
    bound = 64 * torch.finfo(squares.dtype).eps * lengths.sum(dim=1).square()
    return squares + bound
