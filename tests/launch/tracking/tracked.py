"""A run as trackers know it, without the run."""

from __future__ import annotations

from pathlib import Path

from launch.config import load
from launch.data import sensitive_source
from launch.planning import plan
from launch.run_directory import RunDirectory
from launch.tracking.guard import Guard
from launch.tracking.tracker import TrackedRun
from tests.launch.runs import TINY


def guard_of(*overrides: str) -> Guard:
    """The guard of the tiny experiment with these changes."""
    config = load("demo", [*TINY, *overrides])
    return Guard.of(config, sensitive_source(config))


def tracked_run(folder: Path, *overrides: str) -> TrackedRun:
    """The tiny experiment with these changes, in a folder with nothing in it."""
    config = load("demo", [*TINY, *overrides])
    return TrackedRun(config, plan(config), RunDirectory(folder), Guard.of(config, sensitive_source(config)))
