"""The fixed map between pixels and what networks see; it is not fitted to any data."""

from __future__ import annotations

import torch
from torch import Tensor


def to_network(images: Tensor) -> Tensor:
    """Images as float32 in [-1, 1].

    Args:
        images: uint8, in 0..255.

    Raises:
        TypeError: for any other dtype, because such images would be scaled twice.
    """
    if images.dtype != torch.uint8:
        raise TypeError(f"images must be uint8, not {images.dtype}")
    return images.float() / 127.5 - 1


def to_pixels(images: Tensor) -> Tensor:
    """Images around [-1, 1] as the nearest uint8 in 0..255."""
    return ((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
