"""Networks that must not be trained with DP-SGD are refused, by the name of the layer."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from configs.components.generators import DiffusionConfig
from configs.components.networks import UNetConfig
from configs.components.samplers import DDIMConfig
from configs.errors import UserError
from configs.schema import Image
from lightning_modules.dp_sgd.engine import ClippedSum
from lightning_modules.dp_sgd.fused.engine import FusedEngine
from lightning_modules.dp_sgd.opacus_engine import OpacusEngine
from lightning_modules.dp_sgd.validation import check_network, check_records_apart
from lightning_modules.registries import LEARNERS
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
        OwnBatchNorm(4, affine=False),
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
    """Has only allowed layers, and takes a mean over the batch."""

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


class Code(nn.Module):
    """Supported layers around a piece of code."""

    def __init__(self, code: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.first, self.last, self.code = nn.Conv2d(CHANNELS, 4, 3, padding=1), nn.Conv2d(4, CHANNELS, 1), code

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        return self.last(torch.tanh(self.code(self.first(x))))


class Reordering(Code):
    """Losses are independent, but the rows of a layer are not the records'."""

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        return self.last(torch.tanh(self.first(x).flip(0))).flip(0)


class Remembering(nn.Module):
    """A buffer that depends on the images."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        self.seen.mul_(0.9).add_(0.1 * x.detach().mean())
        return x


class Borrowing(Code):
    """Uses a weight in its layer and once more outside."""

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        return nn.functional.conv2d(torch.tanh(self.last(torch.tanh(self.first(x)))), self.last.weight[:, :1])


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


@pytest.mark.parametrize("kind", [FusedEngine, OpacusEngine])
@pytest.mark.parametrize(
    "network",
    [
        Code(lambda h: h.cumsum(0)),
        Code(lambda h: torch.cat([h[:1], h[1:] + h[:-1]])),
        Code(lambda h: h - h.mean(0) if len(h) > 3 else h),
        Reordering(lambda h: h),
        Borrowing(lambda h: h),
        Code(Remembering()),
        Code(nn.Dropout(0.5)),
    ],
    ids=["cumsum", "neighbour", "large batches", "reordering", "borrowing", "buffer", "dropout"],
)
def test_a_network_that_would_break_the_guarantee_is_refused(kind: type, network: nn.Module) -> None:
    model = RandomGenerator(network, 1)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(UserError, match=r"^generator\.network: "):
        tried(model, kind(model, 1.0))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.slow
@pytest.mark.parametrize("kind", [FusedEngine, OpacusEngine])
def test_layers_that_see_other_records_are_found_out_whatever_the_weights(kind: type) -> None:
    """Their sum can be close to the right one: it contains each record's gradient in parts, clipped almost equally."""
    for seed in range(60):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model = RandomGenerator(Reordering(lambda h: h), 1)
        with pytest.raises(UserError, match="per-record gradients are not those of the records"):
            tried(model, kind(model, 1.0))


@pytest.mark.parametrize("kind", [FusedEngine, OpacusEngine])
def test_draws_that_do_not_depend_on_the_key_are_named(kind: type) -> None:
    with pytest.raises(UserError, match="global random numbers"):
        model = RandomGenerator(Code(nn.Dropout(0.5)), 1)
        tried(model, kind(model, 1.0))


def test_a_last_layer_of_zeros_hides_nothing() -> None:
    network = Code(lambda h: h - h.mean(0))
    nn.init.zeros_(network.last.weight)
    model = RandomGenerator(network, 2)
    with pytest.raises(UserError, match="mixes records"):
        tried(model, FusedEngine(model, 1.0))


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("multiplicity", [1, 3])
def test_the_real_network_passes(precision: str, multiplicity: int) -> None:
    config = DiffusionConfig(network=UNetConfig(base_channels=8), sampler=DDIMConfig(), multiplicity=multiplicity)
    model = LEARNERS.build(config, image=Image(resolution=8, channels=1), classes=3)
    for kind in (FusedEngine, OpacusEngine):
        engine = kind(model, 1.0, precision)
        check_records_apart(model, engine, shape=(1, 8, 8), classes=3, device=torch.device("cpu"))
        assert engine.clip_norm == 1.0


def test_a_gradient_that_belongs_to_no_record_is_found_out_whatever_the_batch() -> None:
    model = RandomGenerator(Positions(), 1)
    with pytest.raises(UserError, match="per-record gradients"):
        tried(model, FusedEngine(model, 1.0))


@pytest.mark.parametrize("kind", [FusedEngine, OpacusEngine])
def test_records_that_do_not_meet_pass(kind: type) -> None:
    model = toy(multiplicity=2)
    tried(model, kind(model, 1.0))
    assert all(parameter.grad is None for parameter in model.parameters())
