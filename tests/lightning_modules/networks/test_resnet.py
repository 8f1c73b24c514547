"""The classifier network: the published ResNet-50, and small ones."""

import pytest
import torch
from torchvision.models import resnet50

from configs.components.networks import ResNetConfig
from configs.errors import UserError
from lightning_modules.networks.resnet import ResNet
from lightning_modules.registries import CLASSIFIERS


def test_resnet50_is_the_published_one_but_for_its_stem() -> None:
    with torch.device("meta"):
        config = ResNetConfig(blocks=[3, 4, 6, 3], width=64, bottleneck=True)
        ours = CLASSIFIERS.build(config, channels=3, classes=1000)
        published = resnet50()
    stem = (7 * 7 - 3 * 3) * 3 * 64
    assert sum(p.numel() for p in ours.parameters()) == sum(p.numel() for p in published.parameters()) - stem


@pytest.mark.parametrize(("resolution", "channels"), [(8, 1), (28, 1), (32, 3)])
@pytest.mark.parametrize(("bottleneck", "features"), [(False, 32), (True, 128)])
def test_logits_come_from_features_through_the_head(
    resolution: int, channels: int, bottleneck: bool, features: int
) -> None:
    config = ResNetConfig(blocks=[1, 1, 1], width=8, bottleneck=bottleneck)
    network = ResNet(config, channels=channels, classes=7).eval()
    x = torch.rand(3, channels, resolution, resolution) * 2 - 1
    with torch.no_grad():
        assert network.features(x).shape == (3, features)
        torch.testing.assert_close(network(x), network.head(network.features(x)))


@pytest.mark.parametrize("blocks", [[], [1, 0]])
def test_an_impossible_list_of_blocks_is_refused(blocks: list[int]) -> None:
    with pytest.raises(UserError, match=r"network\.blocks: given"):
        ResNet(ResNetConfig(blocks=blocks), channels=1, classes=2)
