"""The averaged weights on the way through fine-tuning, kept so that they can be scored against ε afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

from lightning.pytorch import Callback, LightningModule, Trainer

from lightning_modules.dp_sgd.private_training import PrivateTraining
from lightning_modules.weights import save_weights


def snapshot_steps(total: int, count: int) -> list[int]:
    """The `count` steps that cut `total` DP-SGD steps into even parts; neither end is one of them."""
    return sorted({round(total * part / (count + 1)) for part in range(1, count + 1)} - {0, total})


class SnapshotWriter(Callback):
    """Writes the averaged weights as they are after each of `steps`, once a checkpoint of that step is durable.

    What it writes is differentially private, like every step of DP-SGD. A process that ended between the checkpoint and
    its snapshot is made up for by the one that goes on from the checkpoint.
    """

    def __init__(self, folder: Path, steps: Sequence[int]) -> None:
        self.folder = Path(folder)
        self.steps = frozenset(steps)

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        self.module = cast(PrivateTraining, module)
        if trainer.is_global_zero:
            self.keep(self.module.private_step)  # the fit begins with the weights of a durable checkpoint

    def keep(self, done: int) -> None:
        """Write the weights if `done` steps are one of those wanted, and they are not there yet."""
        path = self.folder / f"step-{done:08d}.safetensors"
        if done in self.steps and not path.exists():
            save_weights(self.module.averaged, path)
