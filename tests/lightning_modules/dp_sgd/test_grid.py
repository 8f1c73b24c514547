"""The grid of the clipped sum: what somebody who sees the noised sum can learn from its bits."""

import math
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.data import DataLoader

from accounting.access import PrivateAccess
from accounting.mechanisms import SampledGaussian
from configs.components.generators import DiffusionConfig, GANConfig, TeacherConfig
from configs.components.networks import BigGANConfig, LeNetConfig, ProjectionConfig, UNetConfig
from configs.components.samplers import DDIMConfig
from configs.errors import UserError
from configs.schema import Image
from lightning_modules.diffusion import Diffusion
from lightning_modules.dp_sgd.engine import ENGINES
from lightning_modules.dp_sgd.grid import MARGIN, check_noise, from_grid, grid_unit, to_grid
from lightning_modules.dp_sgd.private_training import PrivateTraining
from lightning_modules.gan import GAN
from lightning_modules.teacher import Teacher
from tests.lightning_modules.dp_sgd.private import reserved

CLIP, SIGMA = 1.0, 2.0
clips, values, ranks = st.floats(1e-6, 1e3), st.integers(1, 10**9), st.integers(1, 1024)


@given(clips, values, ranks)
def test_rounding_on_every_rank_costs_a_small_part_of_the_clip_norm(clip: float, values: int, ranks: int) -> None:
    unit = grid_unit(clip, values, ranks)
    assert math.frexp(unit)[0] == 0.5
    assert 2.0**-17 * clip < ranks * math.sqrt(values) * unit <= 2.0**-16 * clip
    norm = clip / MARGIN * (1 + 2**-17)
    assert norm + ranks * math.sqrt(values) * unit + 2 * 7900 * 2**-24 * clip < clip


@given(st.integers(0, 2**32 - 1), clips, ranks)
def test_a_sum_is_rounded_to_the_nearest_point_and_back_without_loss(seed: int, clip: float, ranks: int) -> None:
    unit = grid_unit(clip, 1000, ranks)
    total = clip * torch.from_numpy(np.random.default_rng(seed).normal(size=1000))
    units = to_grid(total, unit)
    assert units.dtype == torch.int64
    assert ((from_grid(units, unit) - total).abs() <= unit / 2).all()
    assert torch.equal(to_grid(from_grid(units, unit), unit), units)


def test_noise_too_great_for_the_grid_is_refused_with_what_to_do() -> None:
    mechanism = SampledGaussian(name="dp-sgd", noise_multiplier=1e6, sampling_rate=0.1, steps=1, sensitivity=1.0)
    check_noise(mechanism, 10_000)
    with pytest.raises(UserError, match=r"too great for whole numbers, with 80,000,000 .* 64 processes.*raise"):
        check_noise(mechanism, 80_000_000, 64)


IMAGE = Image(resolution=8, channels=1)
PUBLISHED = UNetConfig(base_channels=32, blocks_per_level=2, multipliers=[1, 2, 2], attention_resolutions=[16])


def diffusion() -> Any:
    network = UNetConfig(base_channels=8, blocks_per_level=1, multipliers=[1, 2], attention_resolutions=[4])
    return Diffusion(DiffusionConfig(network=network, sampler=DDIMConfig()), image=IMAGE, classes=3)


def gan() -> Any:
    network = BigGANConfig(base_channels=4, multipliers=[2, 1], attention_resolutions=[])
    discriminator = ProjectionConfig(base_channels=4, multipliers=[1, 2, 2], halvings=2)
    config = GANConfig(network=network, discriminator=discriminator, latent=8)
    return GAN(config, image=IMAGE, classes=3)


def teacher() -> Any:
    return Teacher(TeacherConfig(network=LeNetConfig(width=4, hidden=16)), image=IMAGE, classes=3)


def module_of(model: Any, access: PrivateAccess, engine: str = "fused", precision: str = "fp32") -> PrivateTraining:
    return PrivateTraining(
        model,
        ENGINES[engine](model, CLIP, precision),
        access,
        expected_batch=1.0,
        micro_batch=5,
        learning_rate=0.1,
        ema_decay=0.9,
    )


def seen(module: PrivateTraining, images: Tensor, labels: Tensor, monkeypatch: pytest.MonkeyPatch) -> Tensor:
    """The noised sum of step 0, as training uses it."""
    found: list[Tensor] = []
    monkeypatch.setattr(module, "descend", found.append)
    monkeypatch.setattr(module, "alternate", lambda step: None)
    options = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    lightning.Trainer(accelerator="cpu", max_epochs=1, enable_model_summary=False, **options).fit(
        module, DataLoader([(0, images, labels)], batch_size=None)
    )
    return found[0]


def impossible(seen: Tensor, total: Tensor, unit: float) -> int:
    """Number of values of a noised sum that no noise can explain if the sum was `total`.

    Noise is whole multiples of `unit`, within 8 standard deviations, added to the sum on its grid.
    """
    needed = seen / unit - to_grid(total, unit)
    return int(((needed != needed.round()) | (needed.abs() > 8 * SIGMA * CLIP / unit)).sum())


def impossible_in_float32(seen: Tensor, total: Tensor) -> int:
    """The same with float32 noise on a float32 sum: no neighbour of the difference gives the value that is seen."""
    noise = seen - total
    near = torch.stack([noise, *(torch.nextafter(noise, torch.full_like(noise, end)) for end in (-1e9, 1e9))])
    return int((total + near != seen).all(dim=0).sum())


@pytest.fixture
def access(tmp_path: Path) -> PrivateAccess:
    return reserved(tmp_path, steps=1, rate=1.0, sigma=SIGMA, clip=CLIP)[1]


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("engine", ["fused", "opacus"])
@pytest.mark.parametrize("make", [diffusion, gan, teacher])
def test_no_value_of_the_noised_sum_excludes_a_hypothesis(
    make: Any, engine: str, precision: str, access: PrivateAccess, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    model, images, labels = make(), torch.randint(0, 256, (17, 1, 8, 8), dtype=torch.uint8), torch.arange(17) % 3
    totals = {
        n: module_of(model, access, engine, precision).gradient_sum(0, images[:n], labels[:n])[0] for n in (17, 16)
    }
    assert not torch.equal(totals[17], totals[16])
    for present in (17, 16):
        module = module_of(model, access, engine, precision)
        found = seen(module, images[:present], labels[:present], monkeypatch)
        assert [impossible(found, totals[n], module.unit) for n in (17, 16)] == [0, 0]


@pytest.mark.slow
def test_no_value_of_the_published_networks_sum_excludes_a_hypothesis(
    access: PrivateAccess, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    config = DiffusionConfig(network=PUBLISHED, sampler=DDIMConfig())
    model = Diffusion(config, image=Image(resolution=32, channels=3), classes=10)
    images, labels = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8), torch.arange(2)
    module = module_of(model, access)
    totals = [module.gradient_sum(0, images[:n], labels[:n])[0] for n in (2, 1)]
    found = seen(module, images, labels, monkeypatch)
    assert [impossible(found, total, module.unit) for total in totals] == [0, 0]


def test_noise_added_in_float32_would_exclude_the_wrong_hypothesis(access: PrivateAccess) -> None:
    torch.manual_seed(0)
    module = module_of(diffusion(), access)
    images, labels = torch.randint(0, 256, (17, 1, 8, 8), dtype=torch.uint8), torch.arange(17) % 3
    right, wrong = (module.gradient_sum(0, images[:n], labels[:n])[0].float() for n in (17, 16))
    noise = SIGMA * CLIP * torch.randn(len(right))
    assert impossible_in_float32(right + noise, right) == 0 < impossible_in_float32(right + noise, wrong)
    assert impossible((right + noise).double(), right.double(), module.unit) > 0  # nor is it on the grid
