"""A small convolutional classifier that scores synthetic images, for 8 x 8 to 64 x 64 pixels."""

from __future__ import annotations

import math

from torch import Tensor, nn

from configs.components.scorers import CNNConfig
from evaluation.network_scorer import NetworkScorer
from evaluation.scorer import SCORERS


class PlainCNN(nn.Module):
    """3 x 3 convolutions with batch normalisation; the image is halved until it is at most 4 pixels wide.

    Batch normalisation mixes records, which is allowed here: this network never trains on sensitive images.

    Args:
        channels: of an image.
        resolution: height and width of an image, in pixels.
        classes: number of categories.
        width: channels of the first convolution.
    """

    def __init__(self, channels: int, resolution: int, classes: int, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [*_convolution(channels, width)]
        while resolution > 4:
            wider = min(2 * width, 256)
            layers += [*_convolution(width, wider), nn.MaxPool2d(2, ceil_mode=True), *_convolution(wider, wider)]
            width, resolution = wider, math.ceil(resolution / 2)
        self.body = nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.3))
        self.head = nn.Linear(width * resolution**2, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits [B, classes] of images [B, channels, H, W] in [-1, 1]."""
        return self.head(self.body(x))


def _convolution(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)


@SCORERS.register(CNNConfig)
class CNNScorer(NetworkScorer):
    """Small convolutional network; the epoch is chosen on held-out images."""

    def __init__(self, config: CNNConfig) -> None:
        super().__init__(config.training)
        self.width = config.width

    def network(self, channels: int, resolution: int, classes: int) -> nn.Module:
        return PlainCNN(channels, resolution, classes, self.width)
