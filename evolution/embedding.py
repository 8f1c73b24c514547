"""What makes two images alike: vectors whose distance says so."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from configs.errors import UserError

FEATURES = ("semantic", "pixels", "inception")  # the kinds that a run can be given: evolution.features
BATCH = 256  # images at once, always: see `Embedding.__call__`
PROBED = 3  # images that are put in every place of a batch
Part = Callable[[Tensor], Tensor]
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

        UserError where the features of one image hang on its place in a batch on this device: then leaving one record
        out would move others to other places, and could turn their votes.
        """
        for name in self.parts:
            self._check_places(name, images[:PROBED])
            features = self._of_part(name, images)
            spread = float((features - features.mean(dim=0)).square().sum(dim=1).mean())
            self.scales[name] = 1 / spread**0.5 if spread > 0 else 1.0

    def __call__(self, images: np.ndarray) -> Tensor:
        """Features float32 [N, F] of images uint8 [N, C, H, W], as sensitive as these.

        All batches have one size, the last one filled up with black images, so that the arithmetic of one image does
        not change with the number of the others.
        """
        return torch.cat([self._of_part(name, images) * scale for name, scale in self.scales.items()], dim=1)

    def _check_places(self, name: str, images: np.ndarray) -> None:
        for image in images:
            features = self._of_part(name, np.repeat(image[None], BATCH, axis=0))
            if not (features == features[0]).all():
                raise UserError(
                    f"evolution.features: on {self.device} the {name} features of an image change with its place in a "
                    "batch, so that one record could move the votes of others. Use another device "
                    "(launch.accelerator), another number of threads (launch.threads) or other features."
                )

    @torch.inference_mode()
    def _of_part(self, name: str, images: np.ndarray) -> Tensor:
        found = []
        for start in range(0, len(images), BATCH):
            here = images[start : start + BATCH]
            batch = np.zeros((BATCH, *images.shape[1:]), dtype=np.uint8)
            batch[: len(here)] = here
            found.append(self.parts[name](torch.from_numpy(batch).to(self.device))[: len(here)].float().flatten(1))
        return torch.cat(found).to(self.device)


def pixels(images: Tensor) -> Tensor:
    """Pixels, blurred and thinned out above 16 x 16, so that a stroke a pixel further on is still alike."""
    x = images.float() / 127.5 - 1
    while x.shape[-1] > 16:
        x = F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)
    return x.flatten(1)
