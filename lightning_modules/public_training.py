"""Ordinary training of a generator on public images."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from configs.schema import Pretrain
from lightning_modules.ema import averaged_weights
from lightning_modules.public_module import PublicModule
from lightning_modules.registries import Generator
from lightning_modules.schedules import one_cycle

WARM_UP = 100  # steps, and at most a tenth of the run


class PublicTraining(PublicModule):
    """Adam on the mean of a generator's record losses, one draw a record, with averaged weights in `ema.module`.

    settings: learning rate (the peak), length of the schedule, decay of the average, batch and micro-batch. seed: of
    the loss's draws. For public images only: its loss is logged as it is.
    """

    def __init__(self, generator: Generator, settings: Pretrain, *, seed: int) -> None:
        super().__init__(batch_size=settings.batch_size, micro_batch=settings.micro_batch, seed=seed)
        self.generator = generator
        self.ema = averaged_weights(generator.trainable, settings.ema_decay)
        self.learning_rate = settings.learning_rate
        self.steps = settings.steps

    def losses(self, images: Tensor, labels: Tensor, draws: torch.Generator) -> Tensor:
        """The generator's own loss of each record, [B]."""
        return self.generator.record_losses(images, labels, draws, multiplicity=1)

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.Adam(self.generator.trainable.parameters(), lr=self.learning_rate)
        schedule = one_cycle(optimizer, self.steps, warm_up=min(WARM_UP, self.steps // 10))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def after_update(self) -> None:
        """Let the average follow the weights."""
        self.ema.update_parameters(self.generator.trainable)
