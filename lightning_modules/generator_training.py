"""Ordinary training of a generator on public images."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from configs.schema import Pretrain
from lightning_modules.alternating import adams, alternate
from lightning_modules.ema import public_ema
from lightning_modules.learning_rate import one_cycle
from lightning_modules.public_module import PublicModule, step_generator
from lightning_modules.registries import Learner

WARM_UP = 100  # steps, and at most a tenth of the run
SHARED = 2**32 - 1  # used instead of a rank, for draws that are the same on all processes


class PublicTraining(PublicModule):
    """Adam on the mean of a generator's record losses, with one draw per record, and what follows each step.

    `ema.module` has the averaged weights of the released network; it changes when that network does. For public images
    only: the loss is logged as it is.

    Args:
        generator: the model to train.
        settings: peak learning rate, length of the schedule, decay of the average, batch and micro-batch.
        seed: seed of the loss's draws.
    """

    def __init__(self, generator: Learner, settings: Pretrain, *, seed: int) -> None:
        super().__init__(batch_size=settings.batch_size, micro_batch=settings.micro_batch, seed=seed)
        self.generator = generator
        self.ema = public_ema(generator.released, settings.ema_decay)
        self.learning_rate = settings.learning_rate
        self.steps = settings.steps

    def losses(self, images: Tensor, labels: Tensor, draws: torch.Generator) -> Tensor:
        """The generator's own loss of each record, [B]."""
        return self.generator.record_losses(images, labels, draws, multiplicity=1)

    def configure_optimizers(self) -> Any:
        optimizers = adams(self.generator, self.learning_rate)
        schedule = one_cycle(optimizers[0], self.steps, warm_up=min(WARM_UP, self.steps // 10))
        return optimizers, [{"scheduler": schedule, "interval": "step"}]

    def after_update(self, step: int) -> None:
        """Let the alternating generator take its step, and the average follow the released network."""
        if alternate(self, self.generator, step, step_generator(self.seed, step, SHARED, self.device)):
            self.ema.update_parameters(self.generator.released)

    def averaged(self) -> Learner:
        """The generator with the averaged weights in its released network: what fine-tuning starts from."""
        self.generator.released.load_state_dict(self.ema.module.state_dict())
        return self.generator
