"""The precision of computations inside a block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


def autocast_as(precision: str, device: torch.device) -> torch.autocast:
    """Autocast of matrix products and convolutions for "bf16"; none for "fp32", whatever is around the block."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")


@contextmanager
def exact_float32() -> Iterator[None]:
    """Products and convolutions of float32 without TF32, so that norms and sums are those of the same values."""
    before, convolutions = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
        torch.backends.cudnn.allow_tf32 = convolutions
