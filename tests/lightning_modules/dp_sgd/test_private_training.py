"""The private step compared with a plain reference, and what it must never do."""

from pathlib import Path
from typing import Any

import lightning
import numpy as np
import pytest
import torch
from lightning.pytorch.loggers.logger import DummyLogger
from torch import Tensor

from accounting.access import PrivateAccess
from lightning_modules.dp_sgd.engine import PrivateStatistics, trained_parameters
from lightning_modules.dp_sgd.opacus_engine import OpacusEngine
from lightning_modules.dp_sgd.private_training import PrivateTraining
from lightning_modules.dp_sgd.random_generators import keyed_generator
from tests.lightning_modules.dp_sgd.private import CLIP, RATE, SIGMA, N, PoissonRecords, private_training, reserved
from tests.lightning_modules.dp_sgd.toy import ToyGenerator, autograd_sum, records, toy

STEPS = 5


class Recorded(PrivateTraining):
    """Keeps the noised gradients it descends along."""

    def on_fit_start(self) -> None:
        self.gradients: list[Tensor] = []

    def descend(self, gradient: Tensor) -> None:
        self.gradients.append(gradient.clone())
        super().descend(gradient)


class NoGradients(OpacusEngine):
    """Leaves the records out, so that a step consists only of its noise."""

    def clipped_sum(
        self, images: Tensor, labels: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, PrivateStatistics]:
        return super().clipped_sum(images[:0], labels[:0], generator)


class Spy(DummyLogger):
    """Keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[int | None, dict[str, float]]] = []

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.seen.append((step, metrics))


def train(module: PrivateTraining, start: int = 0, logger: Spy | None = None) -> lightning.Trainer:
    """Fit the module to the test's records on the CPU."""
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_epochs=1,
        logger=logger or False,
        log_every_n_steps=1,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, PoissonRecords(*records(N), module.access, start))
    return trainer


def flat(network: torch.nn.Module) -> Tensor:
    return torch.cat([p.detach().reshape(-1) for p in network.parameters() if p.requires_grad])


def recorded(access: PrivateAccess, micro_batch: int, **settings: Any) -> Recorded:
    model = toy(**settings)
    return Recorded(
        model,
        OpacusEngine(model, CLIP),
        access,
        expected_batch=RATE * N,
        micro_batch=micro_batch,
        learning_rate=0.01,
        ema_decay=0.8,
    )


def reference(model: ToyGenerator, access: PrivateAccess, steps: int, micro_batch: int) -> tuple[Tensor, Tensor]:
    """Weights and their average after DP-SGD with Adam, written out (Abadi et al. 2016; Kingma and Ba 2015)."""
    images, labels = records(N)
    parameters = trained_parameters(model)
    weights = flat(model.trainable)
    average = weights.clone()
    first, second = torch.zeros_like(weights), torch.zeros_like(weights)
    for step in range(steps):
        chosen = access.sample(step, N)
        generator = keyed_generator(lambda count, step=step: access.loss_bytes(step, count), torch.device("cpu"))
        total = torch.zeros_like(weights)
        for i in range(0, len(chosen), micro_batch):
            part = chosen[i : i + micro_batch]
            total += autograd_sum(model, images[part], labels[part], generator, CLIP)
        unit = 2.0**-40  # finer than the grid: the reference rounds to nothing coarser than float32
        noise = torch.from_numpy(access.whole_noise(step, len(weights), unit) * unit).float()
        gradient = (total + noise) / (RATE * N)
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        corrected = first / (1 - 0.9 ** (step + 1)) / ((second / (1 - 0.999 ** (step + 1))).sqrt() + 1e-8)
        weights = weights - 0.01 * corrected
        average = 0.8 * average + 0.2 * weights
        torch.nn.utils.vector_to_parameters(weights, parameters)
    return weights, average


def test_weights_and_average_are_those_of_the_written_out_algorithm(tmp_path: Path) -> None:
    _, access = reserved(tmp_path, steps=STEPS)
    module = private_training(toy(multiplicity=2), access, micro_batch=3)
    train(module)
    weights, average = reference(toy(multiplicity=2), access, STEPS, micro_batch=3)
    torch.testing.assert_close(flat(module.model.trainable), weights, rtol=0, atol=2e-6)
    ema = torch.cat(
        [
            average_of.reshape(-1)
            for average_of, p in zip(module.averaged.parameters(), module.model.trainable.parameters(), strict=True)
            if p.requires_grad
        ]
    )
    torch.testing.assert_close(ema, average, rtol=0, atol=2e-6)
    assert module.private_step == STEPS


def test_micro_batches_change_memory_not_the_result(tmp_path: Path) -> None:
    _, access = reserved(tmp_path, steps=STEPS)
    results = []
    for micro_batch in (1, 3, N):
        module = recorded(access, micro_batch, noise=0.0)
        train(module)
        results.append(torch.stack(module.gradients))
    torch.testing.assert_close(results[0], results[1], rtol=0, atol=1e-6)
    torch.testing.assert_close(results[0], results[2], rtol=0, atol=1e-6)


@pytest.mark.parametrize("micro_batch", [1, N])
def test_noise_is_added_once_a_step_whatever_the_micro_batch(tmp_path: Path, micro_batch: int) -> None:
    _, access = reserved(tmp_path, steps=20, fixed=False)
    module = recorded(access, micro_batch)
    module.engine = NoGradients(module.model, CLIP)
    train(module)
    noise = torch.stack(module.gradients).numpy() * RATE * N
    assert noise.std() == pytest.approx(SIGMA * CLIP, rel=0.05)
    assert abs(noise.mean()) < 5 * SIGMA * CLIP / np.sqrt(noise.size)
    correlations = np.corrcoef(noise)[np.triu_indices(len(noise), 1)]
    assert np.abs(correlations).max() < 6 / np.sqrt(noise.shape[1])


def test_empty_batch_is_a_noisy_step(tmp_path: Path) -> None:
    _, access = reserved(tmp_path, steps=3, rate=1e-9)
    module = private_training(toy(), access)
    before = flat(module.model.trainable)
    logger = Spy()
    train(module, logger=logger)
    assert not torch.equal(flat(module.model.trainable), before)
    assert torch.isfinite(flat(module.model.trainable)).all()
    assert module.private_step == 3
    assert [metrics["records"] for _, metrics in logger.seen] == [0.0] * 3


def test_statistics_go_to_the_logger_alone(tmp_path: Path) -> None:
    _, access = reserved(tmp_path, steps=STEPS)
    logger = Spy()
    trainer = train(private_training(toy(), access), logger=logger)
    assert [step for step, _ in logger.seen] == list(range(STEPS))
    assert {"loss", "gradient_norm", "clipped_fraction", "records"} <= set(logger.seen[0][1])
    assert not trainer.callback_metrics and not trainer.progress_bar_metrics


def test_checkpoint_holds_plain_values_and_nothing_of_the_access(tmp_path: Path) -> None:
    ledger, access = reserved(tmp_path, steps=STEPS)
    module = private_training(toy(), access)
    keys = set(module.state_dict())
    trainer = train(module)
    assert set(module.state_dict()) == keys
    assert all(key.startswith(("model.", "ema.")) for key in keys)
    trainer.save_checkpoint(tmp_path / "one.ckpt")
    checkpoint = torch.load(tmp_path / "one.ckpt", weights_only=True)
    assert checkpoint["private_step"] == STEPS
    assert checkpoint["ledger_head"] == ledger.head
    again = private_training(toy(1), access)
    again.on_load_checkpoint(checkpoint)
    assert again.private_step == STEPS


def test_steps_come_in_order_and_forfeited_ones_are_passed_over(tmp_path: Path) -> None:
    _, access = reserved(tmp_path, steps=STEPS)
    module = private_training(toy(), access)
    with pytest.raises(RuntimeError, match="step 2"):
        train(module, start=2)
    module.forfeit(2)
    train(module, start=2)
    assert module.private_step == STEPS
    module.forfeit(1)
    assert module.private_step == STEPS


def test_noise_for_another_clip_norm_is_refused(tmp_path: Path) -> None:
    _, access = reserved(tmp_path, steps=STEPS)
    model = toy()
    with pytest.raises(ValueError, match="clip norm"):
        PrivateTraining(
            model,
            OpacusEngine(model, 2 * CLIP),
            access,
            expected_batch=1.0,
            micro_batch=1,
            learning_rate=1.0,
            ema_decay=0.9,
        )
