"""Classifiers that score synthetic images: their names and keys."""

from __future__ import annotations

from dataclasses import dataclass

from configs.fields import key, section
from configs.registry import Catalogue
from configs.scoring import Training

SCORER_NAMES = Catalogue("score")


@SCORER_NAMES.add
@dataclass
class LogisticRegressionConfig:
    """Multinomial logistic regression on the pixels; the penalty is chosen on held-out images."""

    name: str = "lr"
    iterations: int = key(100, "largest number of iterations of the solver, per penalty", at_least=1)


@SCORER_NAMES.add
@dataclass
class MLPConfig:
    """Multi-layer perceptron on the pixels; the epoch is chosen on held-out images."""

    name: str = "mlp"
    hidden: int = key(256, "units of the hidden layer", at_least=1)
    epochs: int = key(30, "passes over the synthetic images", at_least=1)


@SCORER_NAMES.add
@dataclass
class CNNConfig:
    """Small convolutional network; the epoch is chosen on held-out images."""

    name: str = "cnn"
    width: int = key(24, "channels of the first convolution", at_least=1)
    training: Training = section(Training, "how it is trained")


@dataclass
class LeNetTraining(Training):
    """As `Training`, with fewer epochs by default."""

    epochs: int = key(10, "passes over the synthetic images; more if they are few", at_least=1)


@SCORER_NAMES.add
@dataclass
class LeNetScorerConfig:
    """Two 5 x 5 convolutions with batch normalisation; 99 % accuracy if it is trained on MNIST itself."""

    name: str = "lenet"
    training: Training = section(LeNetTraining, "how it is trained")


@SCORER_NAMES.add
@dataclass
class ResNetScorerConfig:
    """ResNet-110 for small images (1.7 M weights), as in DPImageBench; slow on a CPU."""

    name: str = "resnet"
    depth: int = key(110, "layers: 6 n + 2, for n blocks in each of three stages", at_least=8)
    training: Training = section(Training, "how it is trained")


@SCORER_NAMES.add
@dataclass
class WideResNetScorerConfig:
    """WRN-40-4 (9 M weights), as in DPImageBench; slow on a CPU."""

    name: str = "wrn"
    depth: int = key(40, "layers: 6 n + 4, for n blocks in each of three stages", at_least=10)
    width: int = key(4, "channels as a multiple of a ResNet's", at_least=1)
    dropout: float = key(0.3, "dropout probability between the convolutions of a block", at_least=0, below=1)
    training: Training = section(Training, "how it is trained")


@SCORER_NAMES.add
@dataclass
class ResNeXtScorerConfig:
    """ResNeXt-29, 8 x 64d (34 M weights), as in DPImageBench; for a GPU."""

    name: str = "resnext"
    depth: int = key(29, "layers: 9 n + 2, for n blocks in each of three stages", at_least=11)
    groups: int = key(8, "groups of each grouped convolution", at_least=1)
    group_width: int = key(64, "channels of a group in the first stage", at_least=1)
    training: Training = section(Training, "how it is trained")
