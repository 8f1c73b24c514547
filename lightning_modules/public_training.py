"""Ordinary training of a generator on public images."""

from __future__ import annotations

from typing import Any

import lightning
import numpy as np
import torch
from torch import Tensor

from lightning_modules.ema import averaged_weights
from lightning_modules.registries import Generator
from lightning_modules.schedules import one_cycle

WARM_UP = 100  # steps, and at most a tenth of the run

Batch = tuple[int, Tensor, Tensor]


class PublicTraining(lightning.LightningModule):
    """Adam on the mean of a generator's record losses, one draw a record, with averaged weights in `ema.module`.

    learning_rate: the peak; ema_decay: in [0, 1); steps: length of the schedule; seed: of the loss's draws, which
    depend on (seed, step, rank) alone, so that a resumed step repeats exactly. For public images only: its loss is
    logged as it is.
    """

    def __init__(self, generator: Generator, *, learning_rate: float, ema_decay: float, steps: int, seed: int) -> None:
        super().__init__()
        self.generator = generator
        self.ema = averaged_weights(generator.trainable, ema_decay)
        self.learning_rate = learning_rate
        self.steps = steps
        self.seed = seed

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        step, images, labels = batch
        draws = step_generator(self.seed, step, self.global_rank, images.device)
        loss = self.generator.record_losses(images, labels, draws, multiplicity=1).mean()
        self.log("train/loss", loss, prog_bar=True, batch_size=len(images))
        return loss

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.Adam(self.generator.trainable.parameters(), lr=self.learning_rate)
        schedule = one_cycle(optimizer, self.steps, warm_up=min(WARM_UP, self.steps // 10))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def optimizer_step(self, epoch: int, batch_index: int, optimizer: Any, closure: Any = None) -> None:
        """One step of the weights and of their average: together, so that no checkpoint falls between the two."""
        super().optimizer_step(epoch, batch_index, optimizer, closure)
        self.ema.update_parameters(self.generator.trainable)


def step_generator(seed: int, step: int, rank: int, device: torch.device) -> torch.Generator:
    """Random numbers of one step that touches no sensitive data, a function of the three numbers."""
    state = np.random.SeedSequence([seed, step, rank]).generate_state(1, np.uint64)
    return torch.Generator(device).manual_seed(int(state[0]))
