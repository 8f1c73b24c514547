"""All dashboards of a run: which ones there are, and what each gets from a stage."""

from __future__ import annotations

from types import TracebackType

from lightning.pytorch.loggers.logger import Logger

from configs.errors import UserError
from configs.schema import Experiment
from launch.processes.interrupts import Interrupted
from launch.tracking.guard import ORIGINS, Origin
from launch.tracking.stage_logger import Extra, StageLogger, nothing
from launch.tracking.tracker import TRACKERS, Ending, TrackedRun, Tracker


def wanted(config: Experiment) -> list[str]:
    """The names of the trackers that a configuration switches on.

    Raises:
        UserError: if one is not registered.
    """
    for name in config.tracking:
        if name not in TRACKERS.names():
            raise UserError(f"tracking: there is no '{name}' (there are: {', '.join(TRACKERS.names())}).")
    return [name for name in dict.fromkeys(config.tracking) if TRACKERS.implementation(name).wanted(config)]


def check_tracking(config: Experiment) -> None:
    """Check that all trackers exist and have their package and key.

    Raises:
        UserError: if one does not.
    """
    for name in wanted(config):
        TRACKERS.implementation(name).check(config)


class Tracking:
    """All trackers of a run, used as `with` block around the work. At its end every tracker is closed.

    Args:
        run: the run; None, for no trackers, in all processes of a job but the first.
    """

    def __init__(self, run: TrackedRun | None) -> None:
        self.run = run
        self.trackers: list[Tracker] = []
        if run is not None:
            self.trackers = [TRACKERS.build(TRACKERS.config(name)(), run) for name in wanted(run.config)]

    def loggers(self, stage: str, extra: Extra = nothing) -> list[Logger]:
        """A logger for each tracker that may show a stage's curves while it works.

        Args:
            stage: role of the stage.
            extra: from a step to public values that are shown in addition to its metrics.
        """
        origin = ORIGINS.get(stage, Origin.SENSITIVE)
        chosen = [tracker for tracker in self.trackers if tracker.live and tracker.admits(origin)]
        for tracker in chosen:
            assert self.run is not None
            self.run.state.mark_live(tracker.destination, stage)
        return [StageLogger(tracker.stage_logger(stage), extra) for tracker in chosen]

    def __enter__(self) -> Tracking:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        ending = Ending.FINISHED if error is None else Ending.FAILED
        if isinstance(error, (Interrupted, KeyboardInterrupt)):
            ending = Ending.STOPPED
        for tracker in self.trackers:
            tracker.close(ending)
