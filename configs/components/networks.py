"""Networks: their names and keys."""

from __future__ import annotations

from dataclasses import dataclass

from configs.fields import key
from configs.registry import Catalogue

NETWORK_NAMES = Catalogue("network")
GENERATOR_NETWORK_NAMES = Catalogue("generator_network")
DISCRIMINATOR_NAMES = Catalogue("discriminator")
CLASSIFIER_NAMES = Catalogue("classifier")


@NETWORK_NAMES.add
@dataclass
class UNetConfig:
    """U-Net of residual blocks with attention (NCSN++/DDPM++ family)."""

    name: str = key("unet", "U-Net of residual blocks with attention")
    base_channels: int = key(32, "channels of the first level; an even number", at_least=4)
    blocks_per_level: int = key(2, "residual blocks per level on the way down (one more on the way up)", at_least=1)
    multipliers: list[int] = key(
        [1, 2, 2], "channels of each level divided by base_channels; each level halves the resolution"
    )
    attention_resolutions: list[int] = key(
        [16], "resolutions with self-attention; those that the network does not reach are ignored"
    )
    embedding_multiplier: int = key(4, "width of the noise and class embedding divided by base_channels", at_least=1)
    patch: int = key(
        1, "side of the square of pixels that the network treats as one position; 2: a quarter of the work", at_least=1
    )


@GENERATOR_NETWORK_NAMES.add
@dataclass
class BigGANConfig:
    """Residual generator whose blocks each see a part of the latent and the class (Brock et al. 2019, Fig. 15)."""

    name: str = key("biggan", "residual network with class-conditional BatchNorm and spectral normalisation")
    base_channels: int = key(32, "channels per unit of the multipliers", at_least=2)
    multipliers: list[int] = key(
        [4, 4, 4], "channels of each block divided by base_channels; each block doubles the resolution"
    )
    attention_resolutions: list[int] = key(
        [16], "resolutions with self-attention after the block; those that the network does not reach are ignored"
    )
    class_embedding: int = key(128, "width of the class embedding that all blocks share", at_least=1)


@DISCRIMINATOR_NAMES.add
@dataclass
class ProjectionConfig:
    """Residual discriminator, sum-pooled, with a projection on the class (Miyato and Koyama 2018, Eq. 3)."""

    name: str = key("projection", "residual network with GroupNorm and a projection on the class")
    base_channels: int = key(32, "channels per unit of the multipliers", at_least=2)
    multipliers: list[int] = key([4, 4, 4, 4], "channels of each block divided by base_channels")
    halvings: int = key(2, "how many blocks halve the resolution: the first ones", at_least=0)
    attention_resolutions: list[int] = key(
        [], "resolutions with self-attention after the block; those that the network does not reach are ignored"
    )


@CLASSIFIER_NAMES.add
@dataclass
class ResNetConfig:
    """Residual network built from torchvision's blocks, with a 3 x 3 stem that keeps the resolution."""

    name: str = key("resnet", "residual network from torchvision's blocks, small-image stem")
    blocks: list[int] = key(
        [1, 1, 1], "residual blocks of each stage; ResNet-18: [2, 2, 2, 2], ResNet-50: [3, 4, 6, 3]"
    )
    width: int = key(
        32, "channels of the first stage; each further stage doubles them. Published ResNets: 64", at_least=1
    )
    bottleneck: bool = key(False, "bottleneck blocks of three convolutions, as in ResNet-50 and deeper")


@CLASSIFIER_NAMES.add
@dataclass
class LeNetConfig:
    """Two convolutions, each with normalisation, ReLU and max-pooling by two, then two linear layers."""

    name: str = key("lenet", "two 5 x 5 convolutions and two linear layers; suitable for DP-SGD")
    width: int = key(16, "channels of the first convolution, a multiple of 4; the second has twice as many", at_least=4)
    hidden: int = key(128, "units of the first linear layer", at_least=1)
