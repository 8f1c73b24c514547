"""A small convolutional classifier of two stages, cheap enough to train with DP-SGD on a CPU."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from configs.components.networks import LeNetConfig
from configs.errors import UserError
from lightning_modules.registries import CLASSIFIERS

PLACES = 7  # positions across and down before the linear layers: those of 28 pixels, halved twice
GROUPS = 4


@CLASSIFIERS.register(LeNetConfig)
class LeNet(nn.Module):
    """Two convolutions, each with normalisation, ReLU and max-pooling by two, then two linear layers.

    Takes images [B, channels, H, W] in [-1, 1], H and W at least 4.

    Args:
        config: widths of the layers.
        channels: channels of an image.
        classes: number of categories.
        norm: makes a normalisation layer for a number of channels; default: GroupNorm, which does not mix records.
        dropout: probability of dropout before the last layer; must be 0 for DP-SGD.

    Raises:
        UserError: if the width is not a multiple of the number of groups.

    Source: after LeCun et al. 1998.
    """

    def __init__(
        self,
        config: LeNetConfig,
        *,
        channels: int,
        classes: int,
        norm: Callable[[int], nn.Module] = lambda width: nn.GroupNorm(GROUPS, width),
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if config.width % GROUPS:
            raise UserError(f"network.width: got {config.width}; allowed is a multiple of {GROUPS}.")
        wide = 2 * config.width
        self.body = nn.Sequential(
            *(nn.Conv2d(channels, config.width, 5, padding=2, bias=False), norm(config.width), nn.ReLU()),
            nn.MaxPool2d(2),
            *(nn.Conv2d(config.width, wide, 5, padding=2, bias=False), norm(wide), nn.ReLU()),
            nn.MaxPool2d(2),
            *(nn.AdaptiveAvgPool2d(PLACES), nn.Flatten()),
            *(nn.Linear(wide * PLACES**2, config.hidden), nn.ReLU()),
            *([nn.Dropout(dropout)] if dropout else []),
        )
        self.head = nn.Linear(config.hidden, classes)

    def features(self, x: Tensor) -> Tensor:
        """The penultimate activations [B, hidden]."""
        return self.body(x)

    def forward(self, x: Tensor) -> Tensor:
        """The logits [B, classes]."""
        return self.head(self.body(x))
