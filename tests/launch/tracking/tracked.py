"""What trackers know about a run, without a run."""

from __future__ import annotations

from pathlib import Path

from configs.loading import load
from launch.components import sensitive_source
from launch.run.guarantee import Guarantee
from launch.tracking.guard import Guard
from launch.tracking.tracker import TrackedRun
from tests.launch.runs import TINY
from tests.launch.setups import plan


def guard_of(*overrides: str) -> Guard:
    """The guard of the tiny experiment with these changes."""
    config = load("demo", [*TINY, *overrides])
    return Guarantee.of(config).guard(config, sensitive_source(config))


def tracked_run(folder: Path, *overrides: str) -> TrackedRun:
    """The tiny experiment with these changes, in an empty folder."""
    config = load("demo", [*TINY, *overrides])
    guarantee = Guarantee.of(config)
    shown, guard = guarantee.planned(plan(config)), guarantee.guard(config, sensitive_source(config))
    return TrackedRun(config, shown, folder / "internal", guard)
