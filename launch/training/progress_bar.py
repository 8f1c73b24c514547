"""Progress of a training stage: a bar on a terminal, a line now and then in a log file. Nominal values only."""

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
SHORT = 20  # steps
SOONEST, LATEST = 30.0, 600.0  # seconds between two lines in a log file


@dataclass(frozen=True, kw_only=True)
class Nominal:
    """What may be shown of a stage while it runs.

    batch: the nominal batch q·n, never the actual one. epsilon: of the run after so many steps, a function of the steps
    alone, for private stages. timed: show throughput; not for data that is not public, whose step times depend on it.
    loss: show the training loss, for public stages only.
    """

    stage: str
    total_steps: int
    batch: int
    epsilon: Callable[[int], float] | None = None
    timed: bool = True
    loss: bool = False

    def values(self, done: int, rate: float, outputs: Any) -> list[str]:
        """The values to show after `done` steps at `rate` steps a second."""
        shown = []
        if self.timed:
            shown.append(f"{rate * self.batch:.0f} images/s")
        if self.epsilon is not None:
            shown.append(f"ε ≤ {epsilon_text(self.epsilon(done), 2)}")
        if self.loss and isinstance(outputs, dict) and "loss" in outputs:
            shown.append(f"loss {float(outputs['loss']):.4f}")
        return shown


def progress(nominal: Nominal) -> Callback:
    """The callback that suits standard error: a bar where it is a terminal, lines elsewhere."""
    return ProgressBar(nominal) if sys.stderr.isatty() else ProgressLines(nominal)


class Clock:
    """Steps a second since the first batch of this start, which may be a resumed one."""

    def begin(self, done: int) -> None:
        self.first, self.started = done, time.monotonic()

    def rate(self, done: int) -> float:
        return (done - self.first) / max(time.monotonic() - self.started, 1e-9)


class ProgressBar(TQDMProgressBar):
    """A bar on standard error that is gone when the stage is."""

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
        """Nothing: the bar is about to go."""

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Nothing: validation has no bar."""


class ProgressLines(Callback):
    """A line every tenth of the way, but not within 30 s of the last, and at least every ten minutes.

    Of a stage whose times are nobody's business, at every tenth and nowhere else, and of a short one nowhere: which
    steps have a line would tell how long steps took, and so how many records were drawn.
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
