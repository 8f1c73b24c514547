"""Fits of a GAN that stop anywhere and continue with the same bits."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from configs.schema import Pretrain
from launch.training.trainer import fit
from lightning_modules.generator_training import PublicTraining
from tests.launch.fits import STEPS, Crashing, Data, PublicRecords, Stop, identical, private_fit
from tests.lightning_modules.test_gan import gan

pytestmark = pytest.mark.slow


def public_fit(folder: Path, crash: int | None = None) -> PublicTraining:
    """Pre-train a GAN in `folder`, or resume it."""
    settings = Pretrain(steps=STEPS, batch_size=4, learning_rate=1e-2, ema_decay=0.9, micro_batch=3)
    return fit(
        PublicTraining(gan(), settings, seed=0),
        lambda start: Data(Crashing(PublicRecords(start), crash)),
        folder=folder,
        total_steps=STEPS,
        accelerator="cpu",
        minutes=60.0,
        every_steps=5,
    )


@pytest.mark.parametrize("crash", [5, 6, 10, 11])
def test_a_public_fit_goes_on_exactly(tmp_path: Path, crash: int) -> None:
    whole = public_fit(tmp_path / "whole")
    with pytest.raises(Stop):
        public_fit(tmp_path / "halved", crash)
    assert identical(public_fit(tmp_path / "halved"), whole)
    assert int(whole.ema.n_averaged) == STEPS // 2


@pytest.mark.parametrize("crash", [6, 11])
def test_a_private_fit_goes_on_exactly(tmp_path: Path, crash: int) -> None:
    whole = private_fit(tmp_path / "whole", model=gan)
    with pytest.raises(Stop):
        private_fit(tmp_path / "halved", crash=crash, model=gan)
    resumed = private_fit(tmp_path / "halved", model=gan)
    assert identical(resumed, whole)
    assert resumed.private_step == STEPS


def test_a_checkpoint_holds_both_networks_both_optimisers_average_and_statistics(tmp_path: Path) -> None:
    private_fit(tmp_path, model=gan)
    (newest,) = sorted((tmp_path / "private").glob(f"step-*{STEPS}.ckpt"))
    content = torch.load(newest, weights_only=True)
    assert len(content["optimizer_states"]) == 2
    assert [float(states["state"][0]["step"]) for states in content["optimizer_states"]] == [STEPS, STEPS // 2]
    for part in ("model.network.", "ema.module."):
        assert any(name.startswith(part) and name.endswith("running_var") for name in content["state_dict"])
    assert any(name.startswith("model.discriminator.") for name in content["state_dict"])


def test_what_fine_tuning_starts_from_has_the_averaged_network_and_the_discriminator_as_it_is(tmp_path: Path) -> None:
    module = public_fit(tmp_path)
    discriminator = {name: value.clone() for name, value in module.generator.trainable.state_dict().items()}
    model = module.averaged()
    for name, value in model.released.state_dict().items():
        assert torch.equal(value, module.ema.module.state_dict()[name])
    assert all(torch.equal(model.trainable.state_dict()[name], value) for name, value in discriminator.items())


def test_the_generators_rate_follows_the_schedule_of_the_discriminators(tmp_path: Path) -> None:
    module = public_fit(tmp_path)
    rates = [optimizer.param_groups[0]["lr"] for optimizer in module.trainer.optimizers]
    assert rates[0] == pytest.approx(0, abs=1e-9)  # after the last step of the schedule
    assert 0 < rates[1] < 1e-3 * module.generator.alternating.pace  # at the last step, before that
