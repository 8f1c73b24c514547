"""The grid of whole numbers on which noise is added to the clipped sum."""

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

The rest of C, 2^-10 of it, covers what rounding adds to a record's effect on the sum: at most 2^-16 for the grid,
for any number of ranks; 64 units in the last place (2^-17) for the norm; and 2 b B 2^-24 for float32 sums of b
records in a micro-batch and B in the batch (Higham 2002, Eq. 3.5, for each of the two sums that are compared). So the
worst case is covered for b B up to 7900, if gradients are held and their values do not depend on their micro-batch.
"""

_SHARE = 2.0**-16  # of the clip norm, for the grid


def grid_unit(clip_norm: float, values: int, ranks: int = 1) -> float:
    """The spacing of the grid for a sum that several processes round separately: a power of two. Touches no data.

    Rounding moves a rank's part by at most unit/2 in each value, so by sqrt(values) * unit/2 in L2. Leaving out one
    record may change every rank's part, because the later records move to other ranks. The difference of two sums is
    then off by at most ranks * sqrt(values) * unit <= 2^-16 * clip_norm.

    Args:
        clip_norm: C > 0.
        values: how many numbers the sum has.
        ranks: how many processes add to the sum.
    """
    return 2.0 ** math.floor(math.log2(clip_norm * _SHARE / (ranks * math.sqrt(max(values, 1)))))


def check_noise(mechanism: Mechanism, values: int, ranks: int = 1) -> None:
    """Check that the noise of a mechanism fits into whole numbers on the grid of its sum. Touches no data.

    Call it before the mechanism is charged.

    Args:
        mechanism: the mechanism.
        values: how many numbers the sum has.
        ranks: how many processes add to the sum.

    Raises:
        UserError: if the noise is too great.
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
    """The nearest multiples of `unit`, int64 [P], of a sum float64 [P].

    Sensitive: as sensitive as the sum.
    """
    return (total / unit).round_().to(torch.int64)


def from_grid(units: Tensor, unit: float) -> Tensor:
    """Multiples of `unit`, float64 [P]: exact, because a power of two times whole numbers below 2^53."""
    return units.to(torch.float64) * unit
