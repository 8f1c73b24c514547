"""When a training stage saves a checkpoint, what follows once it is durable, and which one a resume takes."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from launch.processes import interrupts
from launch.processes.ranks import Ranks
from launch.training.checkpoint_io import CorruptCheckpoint, DurableCheckpointIO

KEPT = 2  # checkpoints that stay, so that a damaged one leaves one to fall back to


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that loads: its file, the steps done in it, and all it holds."""

    path: Path
    step: int
    content: dict[str, Any]


class StepCheckpoint(Callback):
    """Saves `step-<steps done>.ckpt` every so often, when a signal asks to stop, and at the end of the fit.

    It saves when the next batch begins: weights, average, schedule and counters of all steps before agree then. Batches
    are tuples that begin with their step. Once a checkpoint is durable, each of `then` is called with the steps done,
    in order (for a private stage: the ledger's progress line, then the publish barrier). minutes: time between two
    checkpoints, 0 for every step; every_steps: save at its multiples as well; also_at: save after these steps as well.
    notice: what each checkpoint says of itself, where it is not private. Raises Interrupted after the checkpoint that a
    signal asked for.
    """

    def __init__(
        self,
        folder: Path,
        *,
        start: int,
        minutes: float,
        every_steps: int | None = None,
        also_at: Collection[int] = (),
        then: Sequence[Callable[[int], None]] = (),
        notice: str | None = None,
    ) -> None:
        self.folder = Path(folder)
        self.done = self.saved = start
        self.minutes = minutes
        self.every_steps = every_steps
        self.also_at = frozenset(also_at)
        self.then = tuple(then)
        self.notice = notice

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        self.clock = time.monotonic()
        interrupts.reinstate()  # Lightning has put its own handler on SIGTERM, which ends training on the spot

    def on_train_batch_start(self, trainer: Trainer, module: LightningModule, batch: Any, batch_index: int) -> None:
        self.done = batch[0]
        signalled = self._any_rank(trainer, interrupts.requested() is not None)  # as all ranks agree
        if self._any_rank(trainer, signalled or self._due()):
            self.save(trainer)
        if signalled:
            Ranks.here().stop_if_asked()

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, batch_index: int
    ) -> None:
        self.done = batch[0] + 1

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        self.save(trainer)

    def on_save_checkpoint(self, trainer: Trainer, module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Keep our own count of steps; Lightning's loops are left out, the data's own position takes their place."""
        checkpoint.pop("loops")
        checkpoint["steps_done"] = self.done
        if self.notice:
            checkpoint["notice"] = self.notice

    def save(self, trainer: Trainer) -> None:
        """Save where there is anything new, tell those who wait for it, and remove what is no longer needed."""
        if self.done == self.saved:
            return
        trainer.save_checkpoint(self.folder / f"step-{self.done:08d}.ckpt")
        self.saved, self.clock = self.done, time.monotonic()
        if trainer.is_global_zero:
            for act in self.then:
                act(self.done)
            for path in _newest_first(self.folder)[KEPT:]:
                path.unlink()

    def _due(self) -> bool:
        """Whether a checkpoint is due by the clock or by the count."""
        counted = self.every_steps is not None and self.done % self.every_steps == 0
        return counted or self.done in self.also_at or time.monotonic() - self.clock >= 60 * self.minutes

    @staticmethod
    def _any_rank(trainer: Trainer, flag: bool) -> bool:
        """Whether any rank says so; all ranks get the same answer."""
        return flag if trainer.world_size == 1 else trainer.strategy.reduce_boolean_decision(flag, all=False)


def latest_checkpoint(folder: Path) -> Checkpoint | None:
    """The newest checkpoint that loads. A damaged one is set aside as `….damaged`, with a warning."""
    for path in _newest_first(Path(folder)):
        try:
            content = DurableCheckpointIO().load_checkpoint(path)
        except CorruptCheckpoint as damage:
            aside = path.with_name(path.name + ".damaged")
            path.rename(aside)
            warnings.warn(f"{damage}. It is set aside as '{aside.name}'; the one before it is used.", stacklevel=2)
            continue
        return Checkpoint(path, content["steps_done"], content)
    return None


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*.ckpt"), reverse=True)
