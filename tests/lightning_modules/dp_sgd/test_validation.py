"""Networks that must not be trained with DP-SGD are refused, by the name of the layer."""

import pytest
import torch
from torch import nn

from configs.errors import UserError
from lightning_modules.dp_sgd.validation import check_network
from tests.lightning_modules.dp_sgd.toy import toy


class OwnBatchNorm(nn.BatchNorm2d):
    """A class derived from a refused one is refused too."""


class Buffered(nn.Linear):
    """Parameters and a buffer in one layer."""

    def __init__(self) -> None:
        super().__init__(2, 2)
        self.register_buffer("seen", torch.zeros(1))


@pytest.mark.parametrize(
    "layer",
    [
        nn.BatchNorm2d(4),
        nn.BatchNorm2d(4, affine=False),
        OwnBatchNorm(4),
        nn.InstanceNorm2d(4, affine=True, track_running_stats=True),
        nn.LSTM(4, 4),
        Buffered(),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_layer_is_refused_by_name(layer: nn.Module) -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, 1), nn.Sequential(nn.Identity(), layer))
    with pytest.raises(UserError, match=r"'1\.1'"):
        check_network(network)


def test_plain_layers_pass_also_without_storage() -> None:
    check_network(toy().network)
    with torch.device("meta"):
        check_network(nn.Sequential(nn.Conv2d(1, 4, 1), nn.GroupNorm(2, 4), nn.InstanceNorm2d(4), nn.LayerNorm(3)))
