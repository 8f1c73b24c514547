"""Bringing images to the shape of a run: fixed, the same for every image, fitted to none."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn.functional import interpolate

from configs.schema import Image

CHUNK = 4096


def to_shape(images: np.ndarray, image: Image) -> np.ndarray:
    """Grayscale images uint8 [N, H, W] as uint8 [N, C, resolution, resolution], bilinear with antialiasing.

    Three channels are three copies of the one.
    """
    count, height, width = images.shape
    size = (image.resolution, image.resolution)
    resized = images
    if (height, width) != size:
        resized = np.empty((count, *size), dtype=np.uint8)
        for first in range(0, count, CHUNK):
            chunk = torch.from_numpy(images[first : first + CHUNK, None].astype(np.float32))
            chunk = interpolate(chunk, size=size, mode="bilinear", antialias=True, align_corners=False)
            resized[first : first + CHUNK] = chunk.round().clamp(0, 255).byte()[:, 0].numpy()
    return np.repeat(resized[:, None], image.channels, axis=1)
