"""Snapshots of the averaged weights during fine-tuning, which are scored against ε afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

from lightning.pytorch import Callback, LightningModule, Trainer

from lightning_modules.dp_sgd.private_training import PrivateTraining
from lightning_modules.weights import save_weights


def snapshot_steps(total: int, count: int) -> list[int]:
    """The `count` numbers of steps that divide `total` DP-SGD steps into equal parts, without 0 and `total`."""
    return sorted({round(total * part / (count + 1)) for part in range(1, count + 1)} - {0, total})


class SnapshotWriter(Callback):
    """Writes the averaged weights after each of `steps`, once a checkpoint of that step is durable.

    The snapshots are differentially private, like every step of DP-SGD. If a process ends between the checkpoint and
    its snapshot, the process that resumes from the checkpoint writes the snapshot.

    Args:
        folder: where the snapshots go, as `step-<steps done>.safetensors`.
        steps: numbers of steps after which a snapshot is written.
    """

    def __init__(self, folder: Path, steps: Sequence[int]) -> None:
        self.folder = Path(folder)
        self.steps = frozenset(steps)

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        self.module = cast(PrivateTraining, module)
        if trainer.is_global_zero:
            self.keep(self.module.private_step)  # the fit starts from the weights of a durable checkpoint

    def keep(self, done: int) -> None:
        """Write a snapshot if one is wanted after `done` steps and is not there yet."""
        path = self.folder / f"step-{done:08d}.safetensors"
        if done in self.steps and not path.exists():
            save_weights(self.module.averaged, path)
