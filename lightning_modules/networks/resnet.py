"""The residual classifier network with a stem for small images."""

from __future__ import annotations

from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck

from configs.components.networks import ResNetConfig
from configs.errors import UserError
from lightning_modules.registries import CLASSIFIERS


@CLASSIFIERS.register(ResNetConfig)
class ResNet(nn.Module):
    """Residual network built from torchvision's blocks, with a 3 x 3 stem that keeps the resolution.

    Takes images [B, channels, H, W] in [-1, 1]. BatchNorm mixes the records of a training batch: for public training
    only.

    Raises:
        UserError: for a list of blocks that is empty or has a number below 1.

    Source: He et al. 2016, with the stem of its CIFAR-10 networks.
    """

    def __init__(self, config: ResNetConfig, *, channels: int, classes: int) -> None:
        super().__init__()
        if not config.blocks or min(config.blocks) < 1:
            raise UserError(
                f"network.blocks: given {list(config.blocks)}. Give one whole number >= 1 per stage, such as [1, 1, 1]."
            )
        block = Bottleneck if config.bottleneck else BasicBlock
        self.stem = nn.Sequential(
            nn.Conv2d(channels, config.width, 3, padding=1, bias=False), nn.BatchNorm2d(config.width), nn.ReLU()
        )
        stages, current = [], config.width
        for stage, count in enumerate(config.blocks):
            planes = config.width * 2**stage
            for index in range(count):
                stride = 2 if stage > 0 and index == 0 else 1
                stages.append(block(current, planes, stride, shortcut(current, planes * block.expansion, stride)))
                current = planes * block.expansion
        self.stages = nn.Sequential(*stages)
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(current, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def features(self, x: Tensor) -> Tensor:
        """The penultimate activations [B, F]: means over the last stage's pixels."""
        return self.pool(self.stages(self.stem(x)))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


def shortcut(inputs: int, outputs: int, stride: int) -> nn.Module | None:
    """The 1 x 1 projection around a block that changes its shape, or None."""
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
