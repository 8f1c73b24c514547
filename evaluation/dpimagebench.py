"""DPImageBench's classifiers in their published sizes, for 8 x 8 to 64 x 64 pixels: optional, because they are slow."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck

from configs.components.scorers import ResNetScorerConfig, ResNeXtScorerConfig, WideResNetScorerConfig
from evaluation.network_scorer import NetworkScorer
from evaluation.scorer import SCORERS

Block = Callable[[int, int, int], nn.Module]
"""Builds a residual block from its input channels, output channels and stride."""


class ThreeStages(nn.Module):
    """A 3 x 3 convolution, three stages of residual blocks, the mean over the image and a linear layer.

    The second and the third stage halve the image. Batch normalisation mixes records, which is allowed here: these
    networks never train on sensitive images.

    Args:
        channels: of an image.
        classes: number of categories.
        stem: output channels of the first convolution.
        widths: output channels of each stage.
        blocks: in each stage, >= 1.
        block: builds a block.
        active_before: whether a block normalises and activates before its convolutions. If so, batch normalisation and
            ReLU follow the last block; if not, they follow the first convolution.
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        *,
        stem: int,
        widths: tuple[int, int, int],
        blocks: int,
        block: Block,
        active_before: bool = False,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(channels, stem, 3, padding=1, bias=False)]
        layers += [] if active_before else [nn.BatchNorm2d(stem), nn.ReLU(inplace=True)]
        inputs = stem
        for stage, width in enumerate(widths):
            for place in range(blocks):
                layers.append(block(inputs, width, 2 if stage and not place else 1))
                inputs = width
        layers += [nn.BatchNorm2d(inputs), nn.ReLU(inplace=True)] if active_before else []
        self.body = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(inputs, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Logits [B, classes] of images [B, channels, H, W] in [-1, 1]."""
        return self.head(self.body(x))


class WideBlock(nn.Module):
    """Two convolutions, each after batch normalisation and ReLU, with dropout between them.

    Args:
        inputs: channels.
        outputs: channels.
        stride: of the first convolution.
        dropout: probability, in [0, 1).

    Source: Zagoruyko et al. 2016.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.BatchNorm2d(inputs), nn.ReLU(inplace=True))
        self.rest = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
        )
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False) if inputs != outputs else None

    def forward(self, x: Tensor) -> Tensor:
        """Features [B, outputs, H / stride, W / stride] of features [B, inputs, H, W]."""
        active = self.first(x)
        return self.rest(active) + (self.shortcut(active) if self.shortcut else x)


def basic_block(inputs: int, outputs: int, stride: int) -> nn.Module:
    """Torchvision's block of two 3 x 3 convolutions. Source: He et al. 2016."""
    return BasicBlock(inputs, outputs, stride, _projection(inputs, outputs, stride))


def grouped_block(inputs: int, outputs: int, stride: int, groups: int, group_width: int) -> nn.Module:
    """Torchvision's bottleneck block with a grouped convolution.

    Args:
        inputs: channels.
        outputs: channels.
        stride: of the grouped convolution.
        groups: of the grouped convolution.
        group_width: channels of a group in a block with 256 outputs.

    Source: Xie et al. 2017.
    """
    return Bottleneck(
        inputs,
        outputs // Bottleneck.expansion,
        stride,
        _projection(inputs, outputs, stride),
        groups=groups,
        base_width=group_width,
    )


def _projection(inputs: int, outputs: int, stride: int) -> nn.Module | None:
    if inputs == outputs:
        return None
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


@SCORERS.register(ResNetScorerConfig)
class ResNetScorer(NetworkScorer):
    """ResNet-110 for small images (1.7 M weights), as in DPImageBench; slow on a CPU."""

    def __init__(self, config: ResNetScorerConfig) -> None:
        super().__init__(config.training)
        self.blocks = (config.depth - 2) // 6

    def network(self, channels: int, resolution: int, classes: int) -> nn.Module:
        return ThreeStages(channels, classes, stem=16, widths=(16, 32, 64), blocks=self.blocks, block=basic_block)


@SCORERS.register(WideResNetScorerConfig)
class WideResNetScorer(NetworkScorer):
    """WRN-40-4 (9 M weights), as in DPImageBench; slow on a CPU."""

    def __init__(self, config: WideResNetScorerConfig) -> None:
        super().__init__(config.training)
        self.blocks, self.width, self.dropout = (config.depth - 4) // 6, config.width, config.dropout

    def network(self, channels: int, resolution: int, classes: int) -> nn.Module:
        return ThreeStages(
            channels,
            classes,
            stem=16,
            widths=(16 * self.width, 32 * self.width, 64 * self.width),
            blocks=self.blocks,
            block=lambda inputs, outputs, stride: WideBlock(inputs, outputs, stride, self.dropout),
            active_before=True,
        )


@SCORERS.register(ResNeXtScorerConfig)
class ResNeXtScorer(NetworkScorer):
    """ResNeXt-29, 8 x 64d (34 M weights), as in DPImageBench; for a GPU."""

    def __init__(self, config: ResNeXtScorerConfig) -> None:
        super().__init__(config.training)
        self.blocks, self.groups, self.group_width = (config.depth - 2) // 9, config.groups, config.group_width

    def network(self, channels: int, resolution: int, classes: int) -> nn.Module:
        return ThreeStages(
            channels,
            classes,
            stem=64,
            widths=(256, 512, 1024),
            blocks=self.blocks,
            block=lambda inputs, outputs, stride: grouped_block(inputs, outputs, stride, self.groups, self.group_width),
        )
