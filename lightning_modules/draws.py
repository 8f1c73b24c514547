"""Random numbers in one row per record, so that a record's numbers do not depend on how a batch is cut."""

from __future__ import annotations

import math

import torch
from torch import Generator as RandomGenerator
from torch import Tensor

BLOCK = 16  # torch draws normals on the CPU in blocks of 16; with whole blocks no two records share one


def normal_rows(records: int, width: int, generator: RandomGenerator) -> Tensor:
    """Standard normals, one row per record, on the device of `generator`.

    On the CPU the rows stay the same however a batch is cut into micro-batches that draw from one generator in turn, so
    that another record does not change a record's own numbers.

    Args:
        records: B.
        width: numbers needed per record.
        generator: source of all randomness.

    Returns:
        [B, W], W >= width.
    """
    columns = math.ceil(width / BLOCK) * BLOCK
    return torch.randn(records, columns, generator=generator, device=generator.device)
