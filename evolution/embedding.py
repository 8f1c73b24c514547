"""What makes two images alike: vectors whose distance says so."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lightning_modules.by_image import Function, by_image, check_places

FEATURES = ("semantic", "pixels", "inception")  # the kinds that a run can be given: evolution.features
TRIED = 3  # images that are put in every place of a batch
Part = Function
"""Features float [B, F] of images uint8 [B, C, H, W]; those of an image depend on that image alone."""


class Embedding:
    """Features of several kinds side by side, each scaled so that all count alike.

    parts: by name. `fit` sets the scales from images that may be public or made under DP, never from sensitive ones.
    """

    def __init__(self, parts: Mapping[str, Part], device: torch.device | str = "cpu") -> None:
        self.parts = dict(parts)
        self.device = torch.device(device)
        self.scales: dict[str, float] = {}

    def fit(self, images: np.ndarray) -> None:
        """Scale each kind to mean squared distance 2 between two of these images, uint8 [N, C, H, W], from its mean.

        UserError where the features of one image depend on its place in a batch on this device (`check_places`).
        """
        for name in self.parts:
            subject = f"evolution.features: on {self.device} the {name} features"
            check_places(
                self._function(name), images[:TRIED], self.device, subject=subject, instead="other evolution.features"
            )
            features = self._of_part(name, images)
            spread = float((features - features.mean(dim=0)).square().sum(dim=1).mean())
            self.scales[name] = 1 / spread**0.5 if spread > 0 else 1.0

    def __call__(self, images: np.ndarray) -> Tensor:
        """Features float32 [N, F] of images uint8 [N, C, H, W], as sensitive as these; only after `fit`."""
        return torch.cat([self._of_part(name, images) * scale for name, scale in self.scales.items()], dim=1)

    def _of_part(self, name: str, images: np.ndarray) -> Tensor:
        return by_image(self._function(name), images, self.device)

    def _function(self, name: str) -> Part:
        """What is asked of one kind, and tried out: flat features on the device."""
        return lambda batch: self.parts[name](batch).float().flatten(1).to(self.device)


def pixels(images: Tensor) -> Tensor:
    """Pixels, blurred and thinned out above 16 x 16, so that a stroke a pixel further on is still alike."""
    x = images.float() / 127.5 - 1
    while x.shape[-1] > 16:
        x = F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)
    return x.flatten(1)
