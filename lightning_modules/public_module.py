"""One step of ordinary training on public images: what the classifier and pre-training share."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import nullcontext
from typing import Any, cast

import lightning
import numpy as np
import torch
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor

from lightning_modules.alternating import optimizers_of

Batch = tuple[int, Tensor, Tensor]


class PublicModule(lightning.LightningModule):
    """One optimiser step per logical batch, on the mean of its record losses.

    For public images only: `train/loss` is logged.

    Args:
        batch_size: images per step, over all processes.
        micro_batch: images that a process computes at once, whose gradients add up (default: its part of the batch).
        seed: seed of the loss's draws, which depend only on (seed, step, rank), so that a resumed step repeats exactly.
    """

    def __init__(self, *, batch_size: int, micro_batch: int | None, seed: int) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.batch_size = batch_size
        self.micro_batch = micro_batch or batch_size
        self.seed = seed

    @abstractmethod
    def losses(self, images: Tensor, labels: Tensor, draws: torch.Generator) -> Tensor:
        """The loss of each record, [B].

        Args:
            images: uint8 [B, C, H, W], B may be 0.
            labels: int64 [B].
            draws: source of all randomness.
        """

    def after_update(self, step: int) -> None:
        """What is done after step `step` has changed the weights; by default nothing."""

    def training_step(self, batch: Batch, batch_index: int) -> dict[str, Tensor]:
        step, images, labels = batch
        draws = step_generator(self.seed, step, self.global_rank, images.device)
        parts = list(zip(images.split(self.micro_batch), labels.split(self.micro_batch), strict=True))
        total = torch.zeros((), device=images.device)
        for number, part in enumerate(parts, start=1):
            with nullcontext() if number == len(parts) else self.no_sync():
                losses = self.losses(*part, draws)
                # DDP takes the mean over processes with parts of any size; the factor makes it the mean over records
                self.manual_backward(losses.sum() * (self.trainer.world_size / self.batch_size))
            total += losses.detach().sum()
        self.update(step)
        records = max(1, len(images))
        mean = total / records
        self.log("train/loss", mean, prog_bar=True, batch_size=records)
        return {"loss": mean}  # for the progress bar

    def no_sync(self) -> Any:
        """Keep gradients in this process until the last micro-batch of a step."""
        strategy = self.trainer.strategy
        return strategy.block_backward_sync() if isinstance(strategy, DDPStrategy) else nullcontext()

    def update(self, step: int) -> None:
        """Step the weights, what follows them, and the schedule; no checkpoint is written in between."""
        optimizer = optimizers_of(self)[0]
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        self.after_update(step)
        cast(Any, self.lr_schedulers()).step()


def step_generator(seed: int, step: int, rank: int, device: torch.device) -> torch.Generator:
    """Random numbers of one step that touches no sensitive data, a function of seed, step and rank."""
    state = np.random.SeedSequence([seed, step, rank]).generate_state(1, np.uint64)
    return torch.Generator(device).manual_seed(int(state[0]))
