"""The tape on which layers leave per-record gradients during one backward pass.

Sensitive: everything on it is as sensitive as the records.
"""

from __future__ import annotations

from functools import cached_property
from typing import TypeGuard

import torch
from torch import Tensor, nn

from lightning_modules.dp_sgd.fused.gradients import RecordGradient, Whole

SMALL = 4096  # values per record


class Tape:
    """Collects the per-record gradients of one forward and backward pass over B records with K draws each."""

    def __init__(self, records: int, multiplicity: int, device: torch.device) -> None:
        self.records = records
        self.multiplicity = multiplicity
        self.anchor = torch.zeros((), device=device, requires_grad=True)  # makes every layer's output need a gradient
        self._uses: dict[int, int] = {}  # by id: a parameter's own hash is slow
        self._gradients: dict[int, RecordGradient] = {}
        self._squares: dict[int, Tensor] = {}

    def used(self, parameter: Tensor) -> None:
        """Count one more use of a parameter, in the forward pass."""
        self._uses[id(parameter)] = self._uses.get(id(parameter), 0) + 1

    def used_once(self, parameter: Tensor) -> bool:
        """Whether a gradient has only one term: the norm of a sum of terms does not follow from their norms."""
        return self._uses[id(parameter)] == 1

    def add(self, parameter: Tensor | None, gradient: RecordGradient) -> None:
        """Enter the gradient of one use of a parameter.

        Raises:
            RuntimeError: if a parameter is used more than once and a gradient is not `Whole`.
        """
        before = self._gradients.get(id(parameter))
        if before is not None:
            if not (isinstance(before, Whole) and isinstance(gradient, Whole)):
                raise RuntimeError("a parameter that is used more than once needs its gradients whole")
            gradient = before + gradient
        self._gradients[id(parameter)] = gradient
        self._squares.pop(id(parameter), None)
        if not small(gradient):
            self._squares[id(parameter)] = gradient.squared_norms()  # at once, while the values are in the cache

    def squared_norms(self) -> Tensor:
        """Squares [B] of the norms of the records' gradients over all parameters."""
        squares = [*self._squares.values(), *([self.bundle.squared_norms()] if self.bundle else [])]
        if not squares:  # the loss depends on nothing that is trained
            return self.anchor.detach().expand(self.records)
        return torch.stack(squares).sum(dim=0)

    def weighted_sum(self, parameters: list[nn.Parameter], factors: Tensor, usable: Tensor | None) -> Tensor:
        """Sum over records of factor times gradient, flat [P].

        Args:
            parameters: all trained parameters, in the order of the result.
            factors: [B].
            usable: bool [B], or None for all; other records add zero.
        """
        totals = {key: g.weighted_sum(factors, usable) for key, g in self._gradients.items() if not small(g)}
        if self.bundle:
            held = {key: g.pieces.shape[2] for key, g in self._gradients.items() if small(g)}
            totals |= zip(held, self.bundle.weighted_sum(factors, usable).split(list(held.values())), strict=True)
        totals |= {id(p): torch.zeros_like(p).reshape(-1) for p in parameters if id(p) not in totals}  # not used
        return torch.cat([totals[id(parameter)] for parameter in parameters])

    @cached_property
    def bundle(self) -> Whole | None:
        """All small gradients joined, once they are there: one at a time, each would cost more than its work."""
        pieces = [gradient.pieces for gradient in self._gradients.values() if small(gradient)]
        return Whole(torch.cat(pieces, dim=2)) if pieces else None

    def check_rows(self, layer: str, x: Tensor) -> None:
        """Check that the leading dimension of a layer's input counts the draws of the records.

        Raises:
            RuntimeError: if it does not.
        """
        if x.dim() == 0 or x.shape[0] != self.records * self.multiplicity:
            raise RuntimeError(
                f"the input of '{layer}' has shape {tuple(x.shape)} for {self.records} records x {self.multiplicity} "
                "draws, so its per-record gradients are unknown"
            )


def small(gradient: RecordGradient) -> TypeGuard[Whole]:
    """Whether a gradient is one of the many that are bundled."""
    return isinstance(gradient, Whole) and not gradient.order and gradient.pieces.shape[2] <= SMALL
