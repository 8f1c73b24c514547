"""What makes two images similar: vectors with a small distance."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lightning_modules.by_image import Function, by_image, check_places

FEATURES = ("semantic", "pixels", "inception")  # the kinds of evolution.features
TRIED = 3  # images that are tried in every place of a batch
Extractor = Function
"""Features float [B, F] of images uint8 [B, C, H, W]; the features of an image depend only on that image."""


class Embedding:
    """Features of several kinds next to each other, each scaled so that all kinds have the same weight.

    Args:
        parts: functions to features, by name.
        device: where the functions run.
    """

    def __init__(self, parts: Mapping[str, Extractor], device: torch.device | str = "cpu") -> None:
        self.parts = dict(parts)
        self.device = torch.device(device)
        self.scales: dict[str, float] = {}

    def fit(self, images: np.ndarray) -> None:
        """Scale each kind so that the mean squared distance between two images is 2, that is 1 from their mean.

        Args:
            images: uint8 [N, C, H, W], public or made under DP, never sensitive.

        Raises:
            UserError: if the features of one image depend on its place in a batch on this device (`check_places`).
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
        """Features float32 [N, F] of images; only after `fit`.

        Args:
            images: uint8 [N, C, H, W].

        Sensitive: the features are as sensitive as the images.
        """
        return torch.cat([self._of_part(name, images) * scale for name, scale in self.scales.items()], dim=1)

    def _of_part(self, name: str, images: np.ndarray) -> Tensor:
        return by_image(self._function(name), images, self.device)

    def _function(self, name: str) -> Extractor:
        """The function that computes one kind, and that is tried out: flat features on the device."""
        return lambda batch: self.parts[name](batch).float().flatten(1).to(self.device)


def pixels(images: Tensor) -> Tensor:
    """Pixels, blurred and reduced to at most 16 x 16, so that a stroke one pixel further on is still similar.

    Args:
        images: uint8 [B, C, H, W].

    Returns:
        Float32 [B, F], from pixels scaled to [-1, 1].
    """
    x = images.float() / 127.5 - 1
    while x.shape[-1] > 16:
        x = F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)
    return x.flatten(1)
