"""Public training of a generator through Lightning's Trainer."""

from collections.abc import Iterator
from pathlib import Path

import lightning
import pytest
import torch

from configs.components.generators import DiffusionConfig
from configs.components.networks import UNetConfig
from configs.components.samplers import DDIMConfig
from configs.schema import Image, Pretrain
from lightning_modules.diffusion import Diffusion
from lightning_modules.generator_training import PublicTraining
from lightning_modules.public_module import step_generator

STEPS = 12


def training(seed: int = 0, micro_batch: int | None = None) -> PublicTraining:
    torch.manual_seed(0)
    network = UNetConfig(base_channels=4, blocks_per_level=1, multipliers=[1], attention_resolutions=[])
    config = DiffusionConfig(network=network, sampler=DDIMConfig(), multiplicity=3)
    model = Diffusion(config, image=Image(resolution=4, channels=1), classes=2)
    settings = Pretrain(learning_rate=1e-2, ema_decay=0.9, steps=STEPS, batch_size=16, micro_batch=micro_batch)
    return PublicTraining(model, settings, seed=seed)


class Batches:
    """The batches of all steps, from a given step on, as a run's own loaders give them on a resume."""

    def __init__(self, start: int = 0) -> None:
        generator = torch.Generator().manual_seed(3)
        self.images = torch.randint(0, 256, (STEPS, 16, 1, 4, 4), generator=generator, dtype=torch.uint8)
        self.labels = torch.randint(0, 2, (STEPS, 16), generator=generator)
        self.start = start

    def __len__(self) -> int:
        return STEPS

    def __iter__(self) -> Iterator[tuple[int, torch.Tensor, torch.Tensor]]:
        return ((s, self.images[s], self.labels[s]) for s in range(self.start, STEPS))


def fit(
    module: PublicTraining,
    loader: Batches,
    max_steps: int = STEPS,
    ckpt_path: Path | None = None,
    callbacks: list[lightning.Callback] | None = None,
) -> lightning.Trainer:
    trainer = lightning.Trainer(
        callbacks=callbacks,
        max_steps=max_steps,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, loader, ckpt_path=ckpt_path, weights_only=True)
    return trainer


def weights(module: PublicTraining) -> torch.Tensor:
    trained = [*module.generator.trainable.parameters(), *module.ema.parameters()]
    return torch.cat([p.detach().flatten() for p in trained])


@pytest.mark.filterwarnings("ignore")
def test_training_lowers_the_loss_and_follows_the_schedule() -> None:
    module = training()
    _, images, labels = next(iter(Batches()))

    def loss() -> float:
        with torch.no_grad():
            return module.generator.record_losses(images, labels, torch.Generator().manual_seed(0), 50).mean().item()

    before = loss()
    trainer = fit(module, Batches())
    assert loss() < before
    assert int(module.ema.n_averaged) == STEPS == trainer.global_step
    assert trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(0, abs=1e-9)
    assert "train/loss" in trainer.callback_metrics


class Outputs(lightning.Callback):
    """Remembers what callbacks (such as the progress) get for each step."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_index) -> None:  # type: ignore[no-untyped-def]
        self.losses.append(float(outputs["loss"]))


@pytest.mark.filterwarnings("ignore")
def test_progress_is_given_the_loss_of_each_step() -> None:
    seen = Outputs()
    trainer = fit(training(), Batches(), callbacks=[seen])
    assert len(seen.losses) == STEPS
    assert seen.losses[-1] == pytest.approx(float(trainer.callback_metrics["train/loss"]))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_resumed_run_ends_with_the_same_weights_and_average(tmp_path: Path) -> None:
    whole = training()
    fit(whole, Batches())

    halved = training()
    trainer = fit(halved, Batches(), max_steps=5)
    trainer.save_checkpoint(tmp_path / "half.ckpt")
    torch.load(tmp_path / "half.ckpt", weights_only=True)
    resumed = training()
    continued = fit(resumed, Batches(start=5), ckpt_path=tmp_path / "half.ckpt")
    assert continued.global_step == STEPS
    assert torch.equal(weights(resumed), weights(whole))


@pytest.mark.filterwarnings("ignore")
def test_the_seed_decides_the_draws() -> None:
    first, again, other = training(0), training(0), training(1)
    for module in (first, again, other):
        fit(module, Batches(), max_steps=3)
    assert torch.equal(weights(first), weights(again))
    assert not torch.equal(weights(first), weights(other))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("micro_batch", [1, 5, 16])
def test_micro_batches_add_up_to_the_gradient_of_the_whole_batch(micro_batch: int) -> None:
    whole, parts = training(), training(micro_batch=micro_batch)
    for module in (whole, parts):  # no draws, so that the losses of a record do not hang on its place in a batch
        network = module.generator.trainable
        module.generator.record_losses = lambda images, labels, draws, multiplicity, network=network: (
            network((images / 127.5 - 1), torch.zeros(len(images)), labels).square().flatten(1).mean(1)
        )
        fit(module, Batches(), max_steps=3)
    torch.testing.assert_close(weights(parts), weights(whole), rtol=1e-4, atol=1e-5)


def test_draws_differ_between_seeds_steps_and_ranks() -> None:
    device = torch.device("cpu")
    keys = [(s, t, r) for s in (0, 1, 2**40) for t in range(5) for r in range(3)]
    first = {torch.rand(1, generator=step_generator(*key, device), dtype=torch.float64).item() for key in keys}
    assert len(first) == len(keys)
