"""Random numbers of records that lie row by row, so that no record's hang on how a batch is cut."""

from __future__ import annotations

import math

import torch
from torch import Generator as RandomGenerator
from torch import Tensor

BLOCK = 16  # torch makes normals on the CPU in blocks of 16; whole blocks per record keep records apart


def normal_rows(records: int, width: int, generator: RandomGenerator) -> Tensor:
    """Standard normals [B, W], W >= width, one row a record, on the device of `generator`.

    On the CPU the rows stay the same however a batch is cut into micro-batches that draw from one generator in turn, so
    that another record changes none of a record's own.
    """
    columns = math.ceil(width / BLOCK) * BLOCK
    return torch.randn(records, columns, generator=generator, device=generator.device)
