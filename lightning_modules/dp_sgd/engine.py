"""What every engine does: clip the gradient of each record and sum the clipped gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from lightning_modules.dp_sgd.grid import MARGIN
from lightning_modules.registries import Learner


@dataclass(frozen=True, kw_only=True)
class PrivateStatistics:
    """Sums over the records of a batch. NOT private: they have no noise and may only go to `internal/`."""

    records: int = 0
    """Number of records."""
    unusable: int = 0
    """Records whose gradient was not finite; they are not counted in the sums below."""
    clipped: int = 0
    """Records whose norm was above the bound."""
    losses: float = 0.0
    """Sum of the records' losses."""
    norms: float = 0.0
    """Sum of the norms of the records' gradients."""

    def __add__(self, other: PrivateStatistics) -> PrivateStatistics:
        return PrivateStatistics(
            records=self.records + other.records,
            unusable=self.unusable + other.unusable,
            clipped=self.clipped + other.clipped,
            losses=self.losses + other.losses,
            norms=self.norms + other.norms,
        )

    def metrics(self) -> dict[str, float]:
        """Means over records, for `internal/`; a batch without usable records has only its size."""
        counts = {"records": float(self.records), "unusable": float(self.unusable)}
        usable = self.records - self.unusable
        if usable == 0:
            return counts
        return counts | {
            "loss": self.losses / usable,
            "clipped_fraction": self.clipped / usable,
            "gradient_norm": self.norms / usable,
        }


class ClippedSum(Protocol):
    """An engine: the sum of clipped per-record gradients, the only quantity that DP-SGD takes from sensitive data."""

    clip_norm: float
    """C, the L2 sensitivity of the sum to adding or removing one record."""
    precision: str
    """Either "fp32" or "bf16"."""

    def clipped_sum(
        self, images: Tensor, labels: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, PrivateStatistics]:
        """Sum over records of clip(mean over the record's K draws of the loss gradient, C). Not yet noised.

        A record whose gradient is not finite adds zero.

        Args:
            images: uint8 [B, C, H, W], B >= 0.
            labels: int64 [B].
            generator: source of the loss's own random draws.

        Returns:
            Flat tensor [P], at least float32, in the order of `trained_parameters`, and statistics that are not
            private.

        Raises:
            RuntimeError: if a parameter is used outside its layer, or the model returns a wrong number of losses.

        Sensitive: reads sensitive images; the result is as sensitive as they are.
        """
        ...


ENGINES: dict[str, Callable[[Learner, float, str], ClippedSum]] = {}
"""Engines by name: `ENGINES[name](model, clip_norm, precision)`, precision "fp32" or "bf16"."""

BLOCK = 512  # values that a norm sums in one go


def trained_parameters(model: Learner) -> list[nn.Parameter]:
    """The parameters that training changes, in the order of every flat gradient."""
    return [parameter for parameter in model.trainable.parameters() if parameter.requires_grad]


def sum_size(model: Learner) -> int:
    """P: the number of values in the clipped sum."""
    return sum(parameter.numel() for parameter in trained_parameters(model))


def empty_sum(model: Learner) -> Tensor:
    """The flat sum [P] over no records."""
    flat = torch.cat([parameter.detach().reshape(-1) for parameter in trained_parameters(model)])
    return torch.zeros_like(flat)


def record_losses(model: Learner, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
    """The model's losses [B * K].

    Args:
        model: the model.
        images: uint8 [B, C, H, W].
        labels: int64 [B].
        generator: source of the loss's own random draws.

    Raises:
        RuntimeError: if the model returns another number of losses.

    Sensitive: as sensitive as the images.
    """
    losses = model.record_losses(images, labels, generator)
    if losses.shape != (len(images) * model.multiplicity,):
        raise RuntimeError(f"{tuple(losses.shape)} losses for {len(images)} records x {model.multiplicity} draws")
    return losses


def statistics(norms: Tensor, losses: Tensor, clip_norm: float) -> PrivateStatistics:
    """Statistics of a batch; records whose norm is not finite are unusable.

    Args:
        norms: norms of the records' gradients, [B].
        losses: losses of the records, [B].
        clip_norm: C.

    Sensitive: as sensitive as the records.
    """
    usable = torch.isfinite(norms)
    return PrivateStatistics(
        records=len(norms),
        unusable=int((~usable).sum()),
        clipped=int((norms[usable] * MARGIN > clip_norm).sum()),
        losses=float(losses[usable].sum()),
        norms=float(norms[usable].sum()),
    )


def at_least_float32(dtype: torch.dtype) -> torch.dtype:
    """The precision in which norms and sums of values of this type are computed."""
    return dtype if dtype in (torch.float32, torch.float64) else torch.float32


def squared_norms(rows: Tensor) -> Tensor:
    """Squares [R] of the L2 norms of rows [R, n], in at least float32 and correct to a few units in the last place.

    Blocks are summed first, then their sums. A sum of a million equal values in one go loses 1e-3 of itself, and a
    record with such a gradient would be clipped to more than the bound.
    """
    if rows.dtype != (precision := at_least_float32(rows.dtype)):
        rows = rows.to(precision)
    while rows.shape[1] > BLOCK:
        whole = rows.shape[1] // BLOCK * BLOCK
        blocks = torch.linalg.vector_norm(rows[:, :whole].reshape(len(rows), -1, BLOCK), dim=2)
        if whole < rows.shape[1]:
            rest = torch.linalg.vector_norm(rows[:, whole:], dim=1, keepdim=True)
            blocks = torch.cat([blocks, rest], dim=1)
        rows = blocks
    return torch.linalg.vector_norm(rows, dim=1).square()


def clip_factors(norms: Tensor, clip_norm: float) -> Tensor:
    """Factors [B] in [0, 1] that scale gradients of norms [B] to at most `clip_norm` / MARGIN; 0 if not finite.

    The rest of the clip norm is for the rounding of norms and sums, so that what a record changes in the noised sum
    stays below the bound that the noise was calibrated for.
    """
    factors = (clip_norm / (norms * MARGIN)).clamp(max=1.0)
    return torch.where(torch.isfinite(norms), factors, torch.zeros_like(factors))
