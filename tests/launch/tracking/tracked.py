"""A run as trackers know it, without the run."""

from __future__ import annotations

from pathlib import Path

from configs.loading import load
from launch.components import sensitive_source
from launch.preflight.planning import plan
from launch.run.guarantee import guard_of as guard_for
from launch.run.guarantee import planned
from launch.tracking.guard import Guard
from launch.tracking.tracker import TrackedRun
from tests.launch.runs import TINY


def guard_of(*overrides: str) -> Guard:
    """The guard of the tiny experiment with these changes."""
    config = load("demo", [*TINY, *overrides])
    return guard_for(config, sensitive_source(config))


def tracked_run(folder: Path, *overrides: str) -> TrackedRun:
    """The tiny experiment with these changes, in a folder with nothing in it."""
    config = load("demo", [*TINY, *overrides])
    shown, guard = planned(config, plan(config)), guard_for(config, sensitive_source(config))
    return TrackedRun(config, shown, folder / "internal", guard)
