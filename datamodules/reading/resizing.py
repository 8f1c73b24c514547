"""Bringing images to the shape of a run: fixed, the same for every image, never fitted to them."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn.functional import interpolate

from configs.schema import Image

CHUNK = 4096  # images resized at once


def to_shape(images: np.ndarray, image: Image) -> np.ndarray:
    """Images at the resolution and channels of a run, by antialiased bilinear interpolation.

    Gray becomes colour as three copies of its channel; colour becomes gray as its luma.

    Args:
        images: uint8 [N, H, W] (gray) or [N, 3, H, W] (colour).
        image: resolution and number of channels of the result.

    Returns:
        Uint8 [N, C, resolution, resolution].
    """
    planes = images[:, None] if images.ndim == 3 else images
    kept = min(planes.shape[1], image.channels)
    shaped = np.empty((len(planes), kept, image.resolution, image.resolution), dtype=np.uint8)
    for first in range(0, len(planes), CHUNK):
        chunk = planes[first : first + CHUNK]
        if chunk.shape[1] > kept:
            chunk = luma(chunk)
        shaped[first : first + CHUNK] = resized(chunk, image.resolution)
    return np.repeat(shaped, image.channels // kept, axis=1)


def luma(colours: np.ndarray) -> np.ndarray:
    """The luma of colours (ITU-R BT.601, rounded as Pillow does): uint8 [N, 3, H, W] to [N, 1, H, W]."""
    weighted = np.tensordot(np.array([19595, 38470, 7471], np.uint32), colours, axes=(0, 1))
    return ((weighted[:, None] + (1 << 15)) >> 16).astype(np.uint8)


def resized(images: np.ndarray, resolution: int) -> np.ndarray:
    """Images uint8 [N, C, H, W] as uint8 [N, C, resolution, resolution]."""
    size = (resolution, resolution)
    if images.shape[2:] == size:
        return images
    wide = torch.from_numpy(images.astype(np.float32))
    wide = interpolate(wide, size=size, mode="bilinear", antialias=True, align_corners=False)
    return wide.round().clamp(0, 255).byte().numpy()
