"""Files in the format of pytorch-fid's weights, with random numbers in them, and images to try them on."""

import numpy as np
import torchvision
from pytorch_fid.inception import FIDInceptionA, FIDInceptionC, FIDInceptionE_1, FIDInceptionE_2
from torch import nn

from datamodules.sets.image_set import ImageSet


def images(channels: int, count: int = 3, size: int = 8, seed: int = 0) -> ImageSet:
    """Random pixels of one category."""
    pixels = np.random.default_rng(seed).integers(0, 256, (count, channels, size, size), dtype=np.uint8)
    return ImageSet(pixels, np.zeros(count, dtype=np.int64), ("a",))


def random_inception_network() -> nn.Module:
    """The network, with its last layer, whose weights are in pytorch-fid's file."""
    network = torchvision.models.inception_v3(num_classes=1008, aux_logits=False, weights=None, init_weights=False)
    network.Mixed_5b, network.Mixed_5c = FIDInceptionA(192, pool_features=32), FIDInceptionA(256, pool_features=64)
    network.Mixed_5d = FIDInceptionA(288, pool_features=64)
    for name, width in {"Mixed_6b": 128, "Mixed_6c": 160, "Mixed_6d": 160, "Mixed_6e": 192}.items():
        setattr(network, name, FIDInceptionC(768, channels_7x7=width))
    network.Mixed_7b, network.Mixed_7c = FIDInceptionE_1(1280), FIDInceptionE_2(2048)
    return network
