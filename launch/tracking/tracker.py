"""What a dashboard is: the registry, what every dashboard can get, and what it knows of the run."""

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
    """Its configuration."""
    plan: dict[str, Any]
    """Its plan as it may be shown."""
    internal: Path
    """The run's folder `internal/`."""
    guard: Guard
    """What they may be shown."""

    @cached_property
    def state(self) -> TrackingState:
        """What they have got so far."""
        return TrackingState(self.internal / "tracking.json")


class Ending(Enum):
    """How a command on a run ended."""

    FINISHED = "finished"
    STOPPED = "stopped by a signal, to be continued"
    FAILED = "failed"


class Tracker:
    """A dashboard of one run. It gets curves by stage, points of scores against ε, tables and a summary.

    Files that stay in `internal/` may show everything. A tracker whose data leave the machine, now or later, asks the
    guard. A tracker leaves out what it cannot show.
    """

    live = True
    """Whether stages may be shown while they work."""
    destination: str
    """Where the data go, in one or two words."""

    @staticmethod
    def wanted(config: Experiment) -> bool:
        """Whether a configuration that lists it has it switched on."""
        return True

    @staticmethod
    def check(config: Experiment) -> None:
        """Raise UserError if it could not work, since a package or a key is missing."""

    def admits(self, origin: Origin) -> bool:
        """Whether it may get values of this origin."""
        return True

    @abstractmethod
    def stage_logger(self, stage: str) -> Logger:
        """Lightning's logger for the curves of a stage."""

    @abstractmethod
    def point(self, step: int, epsilon: float, values: dict[str, float], picture: Path | None) -> None:
        """Show scores and samples of the model after some DP-SGD steps.

        Args:
            step: DP-SGD steps done.
            epsilon: ε spent by then.
            values: scores by name.
            picture: file with samples.
        """

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Show a table of plain values."""

    def summary(self, values: dict[str, Any]) -> None:
        """Show the run's results."""

    def close(self, ending: Ending) -> None:
        """End this process' part: nothing more follows."""

    @property
    def notice(self) -> str:
        """What is held back from it, in a sentence; '' if nothing is."""
        return ""

    @property
    def place(self) -> str:
        """Where a person finds it, for the console; '' if there is nothing."""
        return ""


TRACKERS: Registry[Tracker] = Registry(TRACKER_NAMES)
