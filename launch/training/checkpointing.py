"""When a training stage saves a checkpoint, what happens once it is durable, and from which one a stage resumes."""

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

KEPT = 2  # checkpoints that stay: if one is damaged, there is another


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was loaded."""

    path: Path
    """Its file."""
    step: int
    """Steps that were done when it was saved."""
    content: dict[str, Any]
    """Everything it contains."""


class StepCheckpoint(Callback):
    """Saves `step-<steps done>.ckpt` at intervals, when a signal asks to stop, and at the end of the fit.

    It saves when the next batch begins: then weights, average, schedule and counters of all earlier steps agree.
    Batches are tuples that begin with their step. It raises Interrupted after a checkpoint that a signal asked for.

    Args:
        folder: where the checkpoints go.
        start: steps done before this fit.
        minutes: time between two checkpoints, 0 for every step.
        every_steps: also save at multiples of this number of steps.
        also_at: also save after these numbers of steps.
        then: called in order with the steps done, once a checkpoint is durable. For a private stage: the ledger's
            progress line, then the publish barriers.
        notice: why the checkpoints are not private, to be stated in each of them; None if they are private or public.
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
        interrupts.reinstate()  # Lightning has set its own handler for SIGTERM, which ends training at once

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
        """Add our own count of steps. The state of Lightning's loops is left out: the data know their position."""
        checkpoint.pop("loops")
        checkpoint["steps_done"] = self.done
        if self.notice:
            checkpoint["notice"] = self.notice

    def save(self, trainer: Trainer) -> None:
        """Save if there is anything new, call `then`, and remove checkpoints that are no longer needed."""
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
        """Whether the flag is set on any rank. All ranks get the same result."""
        return flag if trainer.world_size == 1 else trainer.strategy.reduce_boolean_decision(flag, all=False)


def latest_checkpoint(folder: Path) -> Checkpoint | None:
    """The newest checkpoint that can be loaded, or None. Damaged ones are renamed to `….damaged`, with a warning."""
    for path in _newest_first(Path(folder)):
        try:
            content = DurableCheckpointIO().load_checkpoint(path)
        except CorruptCheckpoint as damage:
            aside = path.with_name(path.name + ".damaged")
            path.rename(aside)
            warnings.warn(f"{damage}. It is renamed to '{aside.name}'; the one before it is used.", stacklevel=2)
            continue
        return Checkpoint(path, content["steps_done"], content)
    return None


def _newest_first(folder: Path) -> list[Path]:
    """The checkpoints in a folder."""
    return sorted(folder.glob("step-*.ckpt"), reverse=True)
