"""What a dashboard is: its registry, what all of them can be given, and what they know of the run."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers.logger import Logger

from configs.components.trackers import TRACKER_NAMES
from configs.registry import Registry
from configs.schema import Experiment
from launch.tracking.guard import Guard, Origin
from launch.tracking.state import TrackingState


@dataclass(frozen=True)
class TrackedRun:
    """What trackers know of a run."""

    config: Experiment
    plan: dict[str, Any]
    """Its plan as it may be shown."""
    internal: Path
    """The run's folder `internal/`."""
    guard: Guard

    @cached_property
    def state(self) -> TrackingState:
        """What they have been given so far."""
        return TrackingState(self.internal / "tracking.json")


class Ending(Enum):
    """How a command on a run ended."""

    FINISHED = "finished"
    STOPPED = "stopped by a signal, to be continued"
    FAILED = "failed"


class Tracker:
    """A dashboard of one run. It is given curves by stage, points of scores against ε, tables and a summary.

    Files that stay in `internal/` may show everything; a tracker whose data leaves the machine, now or later, asks the
    guard. What a tracker has no place for it leaves out.
    """

    live = True  # whether stages may be shown while they work
    destination: str  # where the data goes, in a word or two

    @staticmethod
    def wanted(config: Experiment) -> bool:
        """Whether a configuration that names it has it switched on."""
        return True

    @staticmethod
    def check(config: Experiment) -> None:
        """Raise UserError where it could not work: a package or a key is missing."""

    def admits(self, origin: Origin) -> bool:
        """Whether it may be given something of this origin."""
        return True

    @abstractmethod
    def stage_logger(self, stage: str) -> Logger:
        """Lightning's logger for the curves of a stage."""

    @abstractmethod
    def point(self, step: int, epsilon: float, values: dict[str, float], picture: Path | None) -> None:
        """Scores and a picture of samples of the model after `step` DP-SGD steps, which cost `epsilon`."""

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """A table of plain values."""

    def summary(self, values: dict[str, Any]) -> None:
        """What the run came to."""

    def close(self, ending: Ending) -> None:
        """Nothing more comes from this process."""

    @property
    def notice(self) -> str:
        """What is held back from it, in a sentence; '' where nothing is."""
        return ""

    @property
    def place(self) -> str:
        """Where a person finds it, for the console; '' where there is nothing."""
        return ""


TRACKERS: Registry[Tracker] = Registry(TRACKER_NAMES)
