"""Clipped sums against autograd, record by record, and their sensitivity."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.components.generators import DiffusionConfig
from configs.components.networks import UNetConfig
from configs.components.samplers import DDIMConfig
from configs.schema import Image
from lightning_modules.dp_sgd.engine import ENGINES, PrivateStatistics, trained_parameters
from lightning_modules.dp_sgd.grid import MARGIN
from lightning_modules.dp_sgd.opacus_engine import OpacusEngine
from lightning_modules.registries import LEARNERS
from tests.lightning_modules.dp_sgd.toy import autograd_sum, records, summed, toy


@settings(max_examples=12)
@given(st.integers(1, 6), st.sampled_from([1, 3]), st.floats(1e-3, 10), st.integers(0, 10**6))
def test_sum_is_that_of_autograd(count: int, multiplicity: int, clip: float, seed: int) -> None:
    model = toy(seed, multiplicity=multiplicity).double()
    images, labels = records(count, seed)
    expected = autograd_sum(model, images, labels, torch.Generator().manual_seed(seed), clip)
    torch.testing.assert_close(summed(OpacusEngine(model, clip), images, labels, seed), expected, rtol=1e-9, atol=1e-11)


def test_float32_sum_is_that_of_autograd() -> None:
    model = toy(multiplicity=4)
    images, labels = records(8)
    expected = autograd_sum(model, images, labels, torch.Generator().manual_seed(0), 0.5)
    torch.testing.assert_close(summed(OpacusEngine(model, 0.5), images, labels), expected, rtol=1e-4, atol=1e-6)


def test_mean_over_draws_comes_before_the_clip() -> None:
    model = toy(multiplicity=4).double()
    images, labels = records(1)
    one_by_one = toy(multiplicity=1).double()
    generator = torch.Generator().manual_seed(0)
    clipped_draws = autograd_sum(one_by_one, images.repeat(4, 1, 1, 1), labels.repeat(4), generator, 1e-2)
    assert summed(OpacusEngine(model, 1e-2), images, labels).norm() == pytest.approx(1e-2 / MARGIN, rel=1e-9)
    assert (clipped_draws / 4).norm() < 0.99e-2  # clipping each draw first would have given less


def test_empty_batch_gives_zeros() -> None:
    model = toy()
    total, statistics = OpacusEngine(model, 1.0).clipped_sum(*records(0), torch.Generator())
    assert total.shape == (sum(p.numel() for p in trained_parameters(model)),)
    assert total.dtype == torch.float32 and not total.any()
    assert statistics == PrivateStatistics() and statistics.metrics() == {"records": 0.0, "unusable": 0.0}


@settings(max_examples=12)
@given(st.integers(0, 4), st.floats(1e-3, 2), st.integers(0, 10**6))
def test_one_record_changes_the_sum_by_at_most_the_clip_norm(others: int, clip: float, seed: int) -> None:
    model = toy(seed, noise=0.0).double()  # no draws: with them, removing a record would shift everybody else's
    engine = OpacusEngine(model, clip)
    images, labels = records(others + 1, seed)
    change = summed(engine, images, labels) - summed(engine, images[:-1], labels[:-1])
    assert change.norm() <= clip * (1 + 1e-12)


@pytest.mark.parametrize("scale", [1e3, 1e7])
def test_huge_gradients_stay_within_the_bound_in_float32(scale: float) -> None:
    model = toy(noise=0.0)
    with torch.no_grad():
        model.network.last.weight.mul_(scale)
    engine = OpacusEngine(model, 0.3)
    images, labels = records(1)
    assert 0.2996 < summed(engine, images, labels).double().norm() <= 0.3


def test_overflowing_norm_counts_as_zero() -> None:
    model = toy(noise=0.0)
    with torch.no_grad():
        model.network.last.weight.mul_(1e25)
    assert not summed(OpacusEngine(model, 1.0), *records(3)).any()


def test_statistics_are_those_of_the_gradients() -> None:
    model = toy(noise=0.0).double()
    images, labels = records(6)
    norms = []
    for i in range(6):
        one = autograd_sum(model, images[i : i + 1], labels[i : i + 1], torch.Generator(), 1e9)
        norms.append(float(one.norm()))
    clip = sorted(norms)[2] * 1.0001 * MARGIN
    _, statistics = OpacusEngine(model, clip).clipped_sum(images, labels, torch.Generator())
    assert statistics.clipped == 3
    assert statistics.metrics()["gradient_norm"] == pytest.approx(sum(norms) / 6)
    losses = model.record_losses(images, labels, torch.Generator())
    assert statistics.metrics()["loss"] == pytest.approx(losses.mean().item())
    assert statistics.metrics()["clipped_fraction"] == 0.5


def test_nothing_stays_behind_on_the_network() -> None:
    model = toy()
    model.network.eval()
    before = {name: set(vars(layer)) for name, layer in model.network.named_modules()}
    keys = list(model.state_dict())
    summed(OpacusEngine(model, 1.0), *records(3))
    assert list(model.state_dict()) == keys
    assert {name: set(vars(layer)) for name, layer in model.network.named_modules()} == before
    assert not any(layer._forward_hooks or layer._backward_hooks for layer in model.network.modules())
    assert all(p.grad is None and not hasattr(p, "grad_sample") for p in model.network.parameters())
    assert not model.network.training


@pytest.mark.parametrize("multiplicity", [1, 2])
def test_sum_over_the_real_network_is_that_of_autograd(multiplicity: int) -> None:
    network = UNetConfig(base_channels=8, multipliers=[1, 2], attention_resolutions=[4])
    config = DiffusionConfig(network=network, sampler=DDIMConfig(), multiplicity=multiplicity, label_dropout=0.5)
    torch.manual_seed(0)
    model = LEARNERS.build(config, image=Image(resolution=8, channels=1), classes=3)
    with torch.no_grad():
        for parameter in model.parameters():  # layers that begin at zero would hide a wrong gradient
            parameter.add_(0.1 * torch.randn_like(parameter))
    images, labels = torch.randint(0, 256, (4, 1, 8, 8), dtype=torch.uint8), torch.tensor([0, 1, 2, 1])
    expected = autograd_sum(model, images, labels, torch.Generator().manual_seed(0), 0.05)
    torch.testing.assert_close(summed(OpacusEngine(model, 0.05), images, labels), expected, rtol=1e-4, atol=1e-6)


def test_sum_is_right_whatever_the_memory_format() -> None:
    """Opacus itself assumes that every convolution's input is contiguous."""
    model = toy(multiplicity=3).double()
    model.network.to(memory_format=torch.channels_last)
    images, labels = records(4)
    expected = autograd_sum(model, images, labels, torch.Generator().manual_seed(0), 0.5)
    torch.testing.assert_close(summed(OpacusEngine(model, 0.5), images, labels), expected, rtol=1e-9, atol=1e-11)


def test_engine_is_found_by_name() -> None:
    assert ENGINES["opacus"] is OpacusEngine
