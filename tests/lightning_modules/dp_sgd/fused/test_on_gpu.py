"""The fused engine on a GPU, with other layouts, kernels and branches: its sums compared with autograd there."""

from __future__ import annotations

import pytest
import torch

from lightning_modules.dp_sgd.engine import ENGINES
from lightning_modules.dp_sgd.fused.engine import FusedEngine
from tests.lightning_modules.dp_sgd.fused.random_networks import random_generator, random_records
from tests.lightning_modules.dp_sgd.fused.test_engine import AS_IT_IS, FACTORED, HELD, hold, real_model
from tests.lightning_modules.dp_sgd.toy import autograd_sum, records
from tests.lightning_modules.test_gan import gan

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU on this machine")
CUDA = torch.device("cuda")


@pytest.fixture(autouse=True)
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no product be rounded to TF32."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


@pytest.mark.parametrize("ratio", [HELD, AS_IT_IS, FACTORED])
@pytest.mark.parametrize("seed", range(25))
def test_sum_over_random_networks_is_that_of_autograd(
    monkeypatch: pytest.MonkeyPatch, ratio: float | None, seed: int
) -> None:
    channels, side, multiplicity = (1, 4)[seed % 2], 2 + seed % 5, (1, 3)[seed % 3 == 0]
    model = random_generator(seed, channels=channels, side=side, multiplicity=multiplicity).double().to(CUDA)
    images, labels = (part.to(CUDA) for part in random_records(1 + seed % 4, channels, side, seed))
    expected = autograd_sum(model, images, labels, torch.Generator().manual_seed(seed), 0.5)
    hold(monkeypatch, ratio)
    found, _ = FusedEngine(model, 0.5).clipped_sum(images, labels, torch.Generator().manual_seed(seed))
    assert (found - expected).norm() <= 1e-9 * expected.norm() + 1e-13


@pytest.mark.parametrize("patch", [1, 2])
@pytest.mark.parametrize("multiplicity", [1, 2])
@pytest.mark.parametrize("ratio", [HELD, AS_IT_IS, FACTORED])
def test_sum_over_the_real_network_is_that_of_autograd(
    monkeypatch: pytest.MonkeyPatch, ratio: float | None, multiplicity: int, patch: int
) -> None:
    model, images, labels = (part.to(CUDA) for part in real_model(multiplicity, patch))
    expected = autograd_sum(model, images, labels, torch.Generator(CUDA).manual_seed(0), 0.05)
    hold(monkeypatch, ratio)
    found, _ = FusedEngine(model, 0.05).clipped_sum(images, labels, torch.Generator(CUDA).manual_seed(0))
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("ratio", [HELD, AS_IT_IS, FACTORED])
def test_bf16_stays_within_the_bound_and_near_float32(monkeypatch: pytest.MonkeyPatch, ratio: float | None) -> None:
    hold(monkeypatch, ratio)
    model, images, labels = (part.to(CUDA) for part in real_model(2))

    def summed(precision: str, count: int) -> torch.Tensor:
        engine = FusedEngine(model, 0.05, precision)
        return engine.clipped_sum(images[:count], labels[:count], torch.Generator(CUDA).manual_seed(0))[0]

    assert summed("bf16", 1).double().norm() <= 0.05
    assert (summed("bf16", 4) - summed("fp32", 4)).norm() < 0.05 * summed("fp32", 4).norm()


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_the_discriminator_of_a_gan_too(engine: str) -> None:
    model = gan().to(CUDA)
    images, labels = (part.to(CUDA) for part in records(6))
    expected = autograd_sum(model, images, labels, torch.Generator(CUDA).manual_seed(0), 0.5)
    found, _ = ENGINES[engine](model, 0.5).clipped_sum(images, labels, torch.Generator(CUDA).manual_seed(0))
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5)
