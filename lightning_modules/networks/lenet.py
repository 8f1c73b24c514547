"""A small convolutional classifier of two stages, cheap enough to train with DP-SGD on a CPU."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from configs.components.networks import LeNetConfig
from configs.errors import UserError
from lightning_modules.registries import CLASSIFIERS

PLACES = 7  # across and down, where the linear layers begin: as of an image of 28 pixels, halved twice
GROUPS = 4


@CLASSIFIERS.register(LeNetConfig)
class LeNet(nn.Module):
    """Two convolutions, each normalised, activated and halved by its largest values, and two linear layers.

    Takes images [B, channels, H, W] in [-1, 1], H and W at least 4. norm: a layer for so many channels; GroupNorm
    unless given, which lets no records meet. dropout: before the last layer; 0 for DP-SGD. UserError for a width that
    groups do not divide. After LeCun et al. 1998.
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
