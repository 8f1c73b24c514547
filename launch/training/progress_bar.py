"""Progress of a training stage: a bar on a terminal, occasional lines in a log file. Only nominal values are shown."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import TQDMProgressBar
from lightning.pytorch.callbacks.progress.tqdm_progress import Tqdm

from accounting.statements import epsilon_text

REFRESH = 0.2  # seconds between two drawings of the bar
SHORT = 20  # steps; a shorter stage that is not timed shows no lines
SOONEST, LATEST = 30.0, 600.0  # least and greatest time between two lines in a log file, in seconds


@dataclass(frozen=True, kw_only=True)
class Nominal:
    """What may be shown of a stage while it runs."""

    stage: str
    """Name of the stage."""
    total_steps: int
    """Steps of the stage."""
    batch: int
    """Nominal batch size q·n, never the actual one."""
    epsilon: Callable[[int], float] | None = None
    """For a private stage: the run's ε after a number of steps. It depends on nothing but that number."""
    timed: bool = True
    """Whether to show throughput. Only for public data: the time of a step depends on its data."""
    loss: bool = False
    """Whether to show the training loss. Only for public stages."""

    def values(self, done: int, rate: float, outputs: Any) -> list[str]:
        """The values to show.

        Args:
            done: steps done.
            rate: steps per second.
            outputs: what the training step returned; its "loss" is shown if `loss` is set.
        """
        shown = []
        if self.timed:
            shown.append(f"{rate * self.batch:.0f} images/s")
        if self.epsilon is not None:
            shown.append(f"ε ≤ {epsilon_text(self.epsilon(done), 2)}")
        if self.loss and isinstance(outputs, dict) and "loss" in outputs:
            shown.append(f"loss {float(outputs['loss']):.4f}")
        return shown


def progress(nominal: Nominal) -> Callback:
    """The callback for standard error: a bar if it is a terminal, otherwise lines."""
    return ProgressBar(nominal) if sys.stderr.isatty() else ProgressLines(nominal)


class Clock:
    """Counts steps per second since the first batch of this fit, which may have been resumed."""

    def begin(self, done: int) -> None:
        """Start the clock, with `done` steps done before."""
        self.first, self.started = done, time.monotonic()

    def rate(self, done: int) -> float:
        """Steps per second up to now."""
        return (done - self.first) / max(time.monotonic() - self.started, 1e-9)


class ProgressBar(TQDMProgressBar):
    """A bar on standard error that disappears at the end of the stage."""

    def __init__(self, nominal: Nominal) -> None:
        super().__init__()
        self.nominal = nominal
        self.steps = Clock()

    def init_train_tqdm(self) -> Tqdm:
        timed = "[{elapsed}<{remaining}{postfix}]" if self.nominal.timed else "[{postfix}]"
        return Tqdm(
            desc=self.nominal.stage,
            total=self.nominal.total_steps,
            file=sys.stderr,
            leave=False,
            dynamic_ncols=True,
            bar_format="{l_bar}{bar}| {n_fmt}/{total_fmt} steps " + timed,
        )

    def init_validation_tqdm(self) -> Tqdm:
        return Tqdm(disable=True)

    def on_train_epoch_start(self, trainer: Trainer, *_: Any) -> None:
        self.drawn = -REFRESH

    def on_train_batch_start(self, trainer: Trainer, module: LightningModule, batch: Any, batch_index: int) -> None:
        if batch_index == 0:
            self.steps.begin(batch[0])
            self.train_progress_bar.reset(self.nominal.total_steps)
            self.train_progress_bar.initial = self.train_progress_bar.n = batch[0]

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, batch_index: int
    ) -> None:
        if time.monotonic() - self.drawn < REFRESH:
            return
        done = batch[0] + 1
        self.train_progress_bar.n = done
        self.train_progress_bar.set_postfix_str(", ".join(self.nominal.values(done, self.steps.rate(done), outputs)))
        self.drawn = time.monotonic()

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Does nothing: the bar is about to disappear."""

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Does nothing: validation has no bar."""


class ProgressLines(Callback):
    """A line at every tenth of the stage, but not within 30 s of the last one, and at least every ten minutes.

    If the stage may not be timed, a line at every tenth and at no other step, and none if the stage is short.
    Otherwise the steps at which lines appear would tell how long steps took, and so how many records were drawn.
    """

    def __init__(self, nominal: Nominal) -> None:
        self.nominal = nominal
        self.steps = Clock()

    def on_train_batch_start(self, trainer: Trainer, module: LightningModule, batch: Any, batch_index: int) -> None:
        if batch_index == 0:
            self.steps.begin(batch[0])
            self.printed, self.printed_at = batch[0], time.monotonic()

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, batch_index: int
    ) -> None:
        done, waited = batch[0] + 1, time.monotonic() - self.printed_at
        a_tenth_on = 10 * (done - self.printed) >= self.nominal.total_steps
        if self.nominal.timed:
            due = (a_tenth_on and waited >= SOONEST) or waited >= LATEST
        else:
            total = self.nominal.total_steps
            due = total >= SHORT and 10 * done // total > 10 * (done - 1) // total
        if not (due and trainer.is_global_zero):
            return
        values = [
            f"{done}/{self.nominal.total_steps} steps",
            *self.nominal.values(done, self.steps.rate(done), outputs),
        ]
        print(f"  {self.nominal.stage:<11} {', '.join(values)}", file=sys.stderr, flush=True)
        self.printed, self.printed_at = done, time.monotonic()
