"""The small classifier that scores synthetic images in a few minutes on one core: frozen, so that numbers compare."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from configs.fields import key, section
from configs.scoring import Training
from evaluation.network_scorer import NetworkScorer
from evaluation.scoring import SCORERS
from lightning_modules.networks.lenet import LeNet, LeNetConfig

DROPOUT = 0.3


@dataclass
class LeNetTraining(Training):
    epochs: int = key(10, "passes over the synthetic images, more where they are few", at_least=1)


@dataclass
class LeNetScorerConfig:
    name: str = "lenet"
    training: Training = section(LeNetTraining, "how it is trained")


@SCORERS.register(LeNetScorerConfig)
class LeNetScorer(NetworkScorer):
    """Two 5 x 5 convolutions with batch normalisation; trained on MNIST itself it gets 99 %."""

    def __init__(self, config: LeNetScorerConfig) -> None:
        super().__init__(config.training)

    def network(self, channels: int, resolution: int, classes: int) -> nn.Module:
        return LeNet(LeNetConfig(), channels=channels, classes=classes, norm=nn.BatchNorm2d, dropout=DROPOUT)
