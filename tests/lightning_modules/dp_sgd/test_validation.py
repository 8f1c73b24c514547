"""Networks that must not be trained with DP-SGD are refused, by the name of the layer."""

import pytest
import torch
from torch import Tensor, nn

from configs.errors import UserError
from lightning_modules.dp_sgd.engine import ClippedSum
from lightning_modules.dp_sgd.fused.engine import FusedEngine
from lightning_modules.dp_sgd.opacus_engine import OpacusEngine
from lightning_modules.dp_sgd.validation import check_network, check_records_apart
from tests.lightning_modules.dp_sgd.fused.random_networks import RandomGenerator
from tests.lightning_modules.dp_sgd.toy import CHANNELS, CLASSES, SIDE, toy


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


class Mixing(nn.Module):
    """Knows only good layers, and takes a mean over the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(CHANNELS, CHANNELS, 1)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        return self.layer(x) - x.mean(dim=0)


class Positions(nn.Module):
    """An embedding of as many positions as a batch may have records."""

    def __init__(self) -> None:
        super().__init__()
        self.positions = nn.Embedding(3, 1)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        return x * self.positions(torch.arange(3)).sum()


def tried(model: nn.Module, engine: ClippedSum) -> None:
    shape = (CHANNELS, SIDE, SIDE)
    check_records_apart(model, engine, shape=shape, classes=CLASSES, device=torch.device("cpu"))


@pytest.mark.parametrize("kind", [FusedEngine, OpacusEngine])
@pytest.mark.parametrize("multiplicity", [1, 2])
def test_code_that_mixes_records_is_found_out(kind: type, multiplicity: int) -> None:
    model = RandomGenerator(Mixing(), multiplicity)
    check_network(model.network)
    with pytest.raises(UserError, match="mixes records"):
        tried(model, kind(model, 1.0))


def test_a_gradient_that_belongs_to_no_record_is_found_out_whatever_the_batch() -> None:
    model = RandomGenerator(Positions(), 1)
    with pytest.raises(UserError, match="positions"):
        tried(model, FusedEngine(model, 1.0))


@pytest.mark.parametrize("kind", [FusedEngine, OpacusEngine])
def test_records_that_do_not_meet_pass(kind: type) -> None:
    model = toy(multiplicity=2)
    tried(model, kind(model, 1.0))
    assert all(parameter.grad is None for parameter in model.parameters())
