"""The fused engine's sums compared with autograd record by record, and what must hold for any network."""

from __future__ import annotations

import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from configs.components.generators import DiffusionConfig
from configs.components.networks import UNetConfig
from configs.components.samplers import DDIMConfig
from configs.errors import UserError
from configs.schema import Image
from lightning_modules.dp_sgd.engine import ENGINES, PrivateStatistics, trained_parameters
from lightning_modules.dp_sgd.fused import gradients, tape
from lightning_modules.dp_sgd.fused.engine import FusedEngine, unknown_layers
from lightning_modules.dp_sgd.opacus_engine import OpacusEngine
from lightning_modules.registries import LEARNERS
from tests.lightning_modules.dp_sgd.fused.random_networks import RandomGenerator, random_generator, random_records
from tests.lightning_modules.dp_sgd.toy import ToyGenerator, autograd_sum, records, summed, toy

HELD, AS_IT_IS, FACTORED = 0.0, None, float("inf")


def hold(monkeypatch: pytest.MonkeyPatch, ratio: float | None) -> None:
    """Make every layer hold its per-record gradients (0), or only layers that need to (infinity)."""
    if ratio is not None:
        monkeypatch.setattr(gradients, "GHOST", ratio)
        monkeypatch.setattr(gradients, "LARGE", 0)


@pytest.mark.slow
@pytest.mark.parametrize("ratio", [HELD, AS_IT_IS, FACTORED])
@settings(max_examples=40)
@given(
    seed=st.integers(0, 10**6),
    count=st.integers(1, 4),
    multiplicity=st.sampled_from([1, 3]),
    channels=st.sampled_from([1, 4]),
    side=st.integers(2, 6),
    clip=st.floats(1e-3, 10),
)
def test_sum_over_random_networks_is_that_of_autograd(
    ratio: float | None, seed: int, count: int, multiplicity: int, channels: int, side: int, clip: float
) -> None:
    model = random_generator(seed, channels=channels, side=side, multiplicity=multiplicity).double()
    images, labels = random_records(count, channels, side, seed)
    expected = autograd_sum(model, images, labels, torch.Generator().manual_seed(seed), clip)
    with pytest.MonkeyPatch.context() as monkeypatch:
        hold(monkeypatch, ratio)
        found = summed(FusedEngine(model, clip), images, labels, seed)
    assert (found - expected).norm() <= 1e-9 * expected.norm() + 1e-13


@pytest.mark.parametrize("small", [0, tape.SMALL])
@pytest.mark.parametrize("multiplicity", [1, 2])
def test_a_parameter_that_is_used_twice_has_the_norm_of_the_sum_of_both_uses(
    monkeypatch: pytest.MonkeyPatch, multiplicity: int, small: int
) -> None:
    """Whether its gradients are bundled with others or not."""
    monkeypatch.setattr(tape, "SMALL", small)
    model = toy(multiplicity=multiplicity).double()
    images, labels = records(5)
    expected = autograd_sum(model, images, labels, torch.Generator().manual_seed(0), 1e-2)
    found = summed(FusedEngine(model, 1e-2), images, labels)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-13)


@pytest.mark.slow
@pytest.mark.parametrize("ratio", [HELD, AS_IT_IS, FACTORED])
@settings(max_examples=15)
@given(seed=st.integers(0, 10**6), multiplicity=st.sampled_from([1, 4]))
def test_float32_sum_is_that_of_autograd(ratio: float | None, seed: int, multiplicity: int) -> None:
    model = random_generator(seed, channels=4, side=5, multiplicity=multiplicity)
    images, labels = random_records(5, 4, 5, seed)
    expected = autograd_sum(model.double(), images, labels, torch.Generator().manual_seed(seed), 0.1)
    with pytest.MonkeyPatch.context() as monkeypatch:
        hold(monkeypatch, ratio)
        found = summed(FusedEngine(model.float(), 0.1), images, labels, seed)
    assert (found - expected).norm() <= 1e-3 * expected.norm()


@pytest.mark.slow
@pytest.mark.parametrize("multiplicity", [1, 2])
@pytest.mark.parametrize("ratio", [HELD, AS_IT_IS, FACTORED])
def test_sum_over_the_real_network_is_that_of_autograd(
    monkeypatch: pytest.MonkeyPatch, ratio: float | None, multiplicity: int
) -> None:
    model, images, labels = real_model(multiplicity)
    expected = autograd_sum(model, images, labels, torch.Generator().manual_seed(0), 0.05)
    hold(monkeypatch, ratio)
    torch.testing.assert_close(summed(FusedEngine(model, 0.05), images, labels), expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("multiplicity", [1, 4])
def test_an_empty_batch_gives_zeros_of_the_weights_shape(multiplicity: int) -> None:
    model = toy(multiplicity=multiplicity).double()
    total, statistics = FusedEngine(model, 1.0).clipped_sum(*records(0), torch.Generator())
    assert total.shape == (sum(p.numel() for p in trained_parameters(model)),)
    assert total.dtype == torch.float64 and not total.any()
    assert statistics == PrivateStatistics()


@pytest.mark.parametrize("ratio", [HELD, FACTORED])
@settings(max_examples=20)
@given(others=st.integers(0, 4), clip=st.floats(1e-3, 2), seed=st.integers(0, 10**6))
def test_one_record_changes_the_sum_by_at_most_the_clip_norm(ratio: float, others: int, clip: float, seed: int) -> None:
    model = toy(seed, noise=0.0).double()
    images, labels = records(others + 1, seed)
    with pytest.MonkeyPatch.context() as monkeypatch:
        hold(monkeypatch, ratio)
        engine = FusedEngine(model, clip)
        change = summed(engine, images, labels) - summed(engine, images[:-1], labels[:-1])
    assert change.norm() <= clip * (1 + 1e-12)


@pytest.mark.parametrize("ratio", [HELD, FACTORED])
@pytest.mark.parametrize("scale", [1.0, 1e3, 1e7])
def test_huge_gradients_stay_within_the_bound_in_float32(
    monkeypatch: pytest.MonkeyPatch, ratio: float, scale: float
) -> None:
    hold(monkeypatch, ratio)
    model = toy(noise=0.0)
    with torch.no_grad():
        model.network.last.weight.mul_(scale)
    norm = summed(FusedEngine(model, 1e-2), *records(1)).double().norm()
    assert 0.999e-2 < norm <= 1e-2


@pytest.mark.slow
@pytest.mark.parametrize("multiplicity", [1, 4])
@pytest.mark.parametrize("ratio", [HELD, FACTORED])
@pytest.mark.parametrize("engine", [FusedEngine, OpacusEngine])
def test_bf16_stays_within_the_bound_and_near_float32(
    monkeypatch: pytest.MonkeyPatch, engine: type, ratio: float, multiplicity: int
) -> None:
    hold(monkeypatch, ratio)
    model, images, labels = real_model(multiplicity)
    for i in range(len(images)):
        one = summed(engine(model, 1e-2, "bf16"), images[i : i + 1], labels[i : i + 1]).double()
        assert 0.998e-2 < one.norm() <= 1e-2
    exact = summed(engine(model, 0.05, "fp32"), images, labels)
    rounded = summed(engine(model, 0.05, "bf16"), images, labels)
    assert rounded.dtype == torch.float32 and not torch.equal(rounded, exact)
    assert (rounded - exact).norm() < 0.05 * exact.norm()


def test_statistics_are_those_of_the_reference_engine() -> None:
    model = toy(multiplicity=3, noise=0.0).double()
    batch = records(6)
    _, ours = FusedEngine(model, 0.3).clipped_sum(*batch, torch.Generator())
    _, theirs = OpacusEngine(model, 0.3).clipped_sum(*batch, torch.Generator())
    assert ours.metrics() == pytest.approx(theirs.metrics())


def test_no_ordinary_weight_gradient_is_computed() -> None:
    """A parameter's gradient hook would fire if autograd took its gradient."""
    model = toy()
    fired: list[str] = []
    for name, parameter in model.network.named_parameters():
        if parameter.requires_grad:
            parameter.register_hook(lambda _, name=name: fired.append(name))
    assert summed(FusedEngine(model, 1.0), *records(3)).any()
    assert fired == []


def test_nothing_stays_behind_on_the_network() -> None:
    model = toy()
    engine = FusedEngine(model, 1.0)
    before = {name: set(vars(layer)) for name, layer in model.network.named_modules()}
    total = summed(engine, *records(3))
    assert {name: set(vars(layer)) for name, layer in model.network.named_modules()} == before
    assert all(p.grad is None for p in model.network.parameters())
    assert not total.requires_grad


def test_the_network_is_whole_again_after_an_error() -> None:
    class Failing(ToyGenerator):
        def record_losses(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
            super().record_losses(images, labels, generator)
            raise MemoryError

    model = Failing()
    with pytest.raises(MemoryError):
        summed(FusedEngine(model, 1.0), *records(2))
    assert all("forward" not in vars(layer) for layer in model.network.modules())


def test_input_whose_rows_are_no_records_is_an_error() -> None:
    """For example an embedding of positions that is the same for all records: its gradient would mix them."""

    class Positions(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.positions = nn.Embedding(5, 1)

        def forward(self, x: Tensor, labels: Tensor) -> Tensor:
            return x * self.positions(torch.arange(5)).sum()

    with pytest.raises(RuntimeError, match="positions"):
        summed(FusedEngine(RandomGenerator(Positions(), 1), 1.0), *random_records(3, 1, 4, 0))


def test_unknown_layer_means_opacus_after_a_line_that_names_it() -> None:
    model = toy()
    model.network.add_module("extra", nn.Sequential(nn.Conv3d(2, 2, 1)))
    with pytest.warns(UserWarning, match=r"'extra\.0' \(Conv3d\)") as caught:
        engine = ENGINES["fused"](model, 0.5, "fp32")
    assert isinstance(engine, OpacusEngine) and len(caught) == 1


def test_known_network_gets_the_fused_engine_without_a_word() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert isinstance(ENGINES["fused"](toy(), 0.5, "fp32"), FusedEngine)


def test_a_layer_that_mixes_records_is_refused() -> None:
    model = toy()
    model.network.add_module("mixing", nn.BatchNorm2d(4))
    with pytest.raises(UserError, match="mixing"):
        ENGINES["fused"](model, 0.5, "fp32")


@pytest.mark.parametrize(
    "layer",
    [
        type("Own", (nn.Linear,), {})(2, 2),  # it may compute something else
        nn.utils.parametrizations.weight_norm(nn.Linear(2, 2)),
        nn.Embedding(3, 2, max_norm=1.0),
        nn.Embedding(3, 2, scale_grad_by_freq=True),
        nn.Conv1d(2, 2, 1),
    ],
)
def test_layers_that_a_rule_would_get_wrong_are_unknown(layer: nn.Module) -> None:
    assert unknown_layers(nn.Sequential(layer))
    assert not unknown_layers(nn.Sequential(layer).requires_grad_(False))


def test_group_norm_of_plain_features_and_layers_called_by_keyword() -> None:
    class Features(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear, self.norm = nn.Linear(16, 6), nn.GroupNorm(2, 6)

        def forward(self, x: Tensor, labels: Tensor) -> Tensor:
            features = torch.tanh(self.norm(self.linear(input=x.flatten(1))))
            return features[:, :, None, None]

    model = RandomGenerator(Features(), 2).double()
    images, labels = random_records(3, 1, 4, 0)
    expected = autograd_sum(model, images, labels, torch.Generator().manual_seed(0), 0.05)
    torch.testing.assert_close(summed(FusedEngine(model, 0.05), images, labels), expected)


def real_model(multiplicity: int, patch: int = 1) -> tuple[nn.Module, Tensor, Tensor]:
    """A small U-Net in a diffusion model, and four records."""
    network = UNetConfig(base_channels=8, multipliers=[1, 2], attention_resolutions=[4], patch=patch)
    config = DiffusionConfig(network=network, sampler=DDIMConfig(), multiplicity=multiplicity, label_dropout=0.5)
    torch.manual_seed(0)
    model = LEARNERS.build(config, image=Image(resolution=8, channels=1), classes=3)
    with torch.no_grad():
        for parameter in model.parameters():  # layers that begin at zero would hide a wrong gradient
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model, torch.randint(0, 256, (4, 1, 8, 8), dtype=torch.uint8), torch.tensor([0, 1, 2, 1])
