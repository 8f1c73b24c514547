"""A public and a private module with their data, small enough to train in a moment, for tests of training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lightning
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from launch.training.trainer import fit
from lightning_modules.dp_sgd.private_training import PrivateTraining
from tests.lightning_modules.dp_sgd.private import N, PoissonRecords, private_training, reserved
from tests.lightning_modules.dp_sgd.toy import records, toy

STEPS = 12


class Stop(Exception):
    """A crash at a chosen step."""


class Data(lightning.LightningDataModule):
    """Training batches, and a few fixed ones for validation."""

    def __init__(self, batches: Any) -> None:
        super().__init__()
        self.batches = batches

    def train_dataloader(self) -> Any:
        return self.batches

    def val_dataloader(self) -> Any:
        return [PublicRecords(STEPS - 1)]


class Crashing:
    """Batches that fail when a step is asked for."""

    def __init__(self, batches: Any, at: int | None) -> None:
        self.batches, self.at = batches, at

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Any]:
        for batch in self.batches:
            if batch[0] == self.at:
                raise Stop
            yield batch


class PublicRecords:
    """Batches of four records, chosen by the step."""

    def __init__(self, start: int) -> None:
        self.start = start
        self.images, self.labels = records(N)

    def __len__(self) -> int:
        return STEPS

    def __iter__(self) -> Iterator[tuple[int, Tensor, Tensor]]:
        for step in range(self.start, STEPS):
            chosen = torch.randperm(N, generator=torch.Generator().manual_seed(step))[:4]
            yield step, self.images[chosen], self.labels[chosen]


class PublicModule(lightning.LightningModule):
    """Ordinary training with a schedule, averaged weights, random draws by step, and validation."""

    def __init__(self) -> None:
        super().__init__()
        self.model = toy()
        self.ema = AveragedModel(self.model.trainable, multi_avg_fn=get_ema_multi_avg_fn(0.9))
        self.validated: list[int] = []

    def training_step(self, batch: tuple[int, Tensor, Tensor], batch_index: int) -> Tensor:
        step, images, labels = batch
        loss = self.model.record_losses(images, labels, torch.Generator().manual_seed(step)).mean()
        self.log("train/loss", loss)
        self.last_step = step
        return loss

    def on_train_batch_end(self, *_: Any) -> None:
        self.ema.update_parameters(self.model.trainable)

    def validation_step(self, batch: tuple[int, Tensor, Tensor], batch_index: int) -> None:
        _, images, labels = batch
        self.log("validation/loss", self.model.record_losses(images, labels, torch.Generator().manual_seed(0)).mean())
        self.validated.append(self.last_step)

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.Adam(self.model.trainable.parameters(), lr=0.01)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.01, total_steps=STEPS)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def public_fit(folder: Path, *, crash: int | None = None, **settings: Any) -> PublicModule:
    """Train the public module in `folder`, or resume it."""
    settings = {"minutes": 60.0, "every_steps": 5, **settings}
    return fit(
        PublicModule(),
        lambda start: Data(Crashing(PublicRecords(start), crash)),
        folder=folder / "public",
        total_steps=STEPS,
        accelerator="cpu",
        **settings,
    )


def private_fit(
    folder: Path,
    *,
    crash: int | None = None,
    fixed: bool = True,
    watch: Callable[[PrivateTraining], None] = lambda module: None,
    model: Callable[[], Any] = toy,
    **settings: Any,
) -> PrivateTraining:
    """Fine-tune a generator in `folder`, or resume it, as a new start of the stage."""
    ledger, access = reserved(folder, steps=STEPS, fixed=fixed)
    module = private_training(model(), access)
    watch(module)
    settings = {"minutes": 60.0, "every_steps": 5, **settings}
    return fit(
        module,
        lambda start: Data(Crashing(PoissonRecords(*records(N), access, start), crash)),
        folder=folder / "private",
        total_steps=STEPS,
        accelerator="cpu",
        access=access,
        require=ledger.require,
        **settings,
    )


def weights(module: nn.Module) -> dict[str, Tensor]:
    """All weights and averages of a module."""
    return {name: value.clone() for name, value in module.state_dict().items()}


def identical(first: nn.Module, second: nn.Module) -> bool:
    """Whether two modules agree to the last bit."""
    one, other = weights(first), weights(second)
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
