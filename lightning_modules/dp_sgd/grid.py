"""The grid of whole numbers on which the clipped sum meets its noise."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from accounting.access import PrivacyError, whole_std
from accounting.mechanisms import Mechanism
from accounting.statements import noise_text
from configs.errors import UserError

MARGIN = 1 + 2.0**-10
"""How far below the clip norm C a record's gradient is clipped.

The rest of C, 2^-10 of it, pays for what rounding adds to a record's effect on the sum: at most 2^-16 for the grid,
whatever the number of ranks; 64 units in the last place (2^-17) for the norm; and 2 b B 2^-24 for float32 sums of b
records in a micro-batch, B in the batch (Higham 2002, Eq. 3.5, for each of the two sums that are compared). So the
worst case of gradients that are held, and whose own values do not depend on their micro-batch, is covered while b B is
at most 7900."""

_SHARE = 2.0**-16  # of the clip norm, for the grid


def grid_unit(clip_norm: float, values: int, ranks: int = 1) -> float:
    """The spacing of the grid for a sum of `values` numbers that `ranks` processes round separately: a power of two.

    Rounding moves a rank's part by at most unit/2 in each value, so by sqrt(values) * unit/2 in L2. Leaving out one
    record may change every rank's part, since the later records move to other ranks; the difference of two sums is then
    off by at most ranks * sqrt(values) * unit <= 2^-16 * clip_norm. Touches no data.
    """
    return 2.0 ** math.floor(math.log2(clip_norm * _SHARE / (ranks * math.sqrt(max(values, 1)))))


def check_noise(mechanism: Mechanism, values: int, ranks: int = 1) -> None:
    """UserError where the noise of a mechanism is too great for whole numbers of the grid of its sum.

    To be asked before the mechanism is charged. values, ranks: see `grid_unit`. Touches no data.
    """
    try:
        whole_std(mechanism, grid_unit(mechanism.sensitivity, values, ranks))
    except PrivacyError as error:
        raise UserError(
            f"privacy.epsilon: {error}, with {values:,} trained parameters on {ranks} processes. A noise multiplier of "
            f"{noise_text(mechanism.noise_multiplier)} leaves nothing of the gradients: raise privacy.epsilon, or "
            "lower finetune.steps or finetune.batch_size."
        ) from None


def to_grid(total: Tensor, unit: float) -> Tensor:
    """The nearest multiples of `unit`, int64 [P], of a float64 sum [P]. As SENSITIVE as the sum."""
    return (total / unit).round_().to(torch.int64)


def from_grid(units: Tensor, unit: float) -> Tensor:
    """float64 [P]: exact, since a power of two times whole numbers below 2^53."""
    return units.to(torch.float64) * unit
