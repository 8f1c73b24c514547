"""The small classifier: any resolution, and no layer in which records could meet."""

import pytest
import torch

from configs.components.networks import LeNetConfig
from configs.errors import UserError
from lightning_modules.dp_sgd.validation import check_network
from lightning_modules.networks.lenet import LeNet


@pytest.mark.parametrize(("resolution", "channels"), [(8, 1), (17, 3), (28, 1), (64, 3)])
def test_logits_come_from_features_through_the_head(resolution: int, channels: int) -> None:
    network = LeNet(LeNetConfig(width=8, hidden=20), channels=channels, classes=7)
    x = torch.rand(3, channels, resolution, resolution) * 2 - 1
    with torch.no_grad():
        assert network.features(x).shape == (3, 20)
        torch.testing.assert_close(network(x), network.head(network.features(x)))
        torch.testing.assert_close(network(x)[:1], network(x[:1]))  # GroupNorm: an image is normalised by itself
    check_network(network)


def test_a_width_that_has_no_groups_is_refused() -> None:
    with pytest.raises(UserError, match=r"network\.width: got 10; allowed is a multiple of 4"):
        LeNet(LeNetConfig(width=10), channels=1, classes=2)
