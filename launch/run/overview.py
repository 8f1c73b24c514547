"""Every run below a folder, in a line each. Nothing private is shown: scores only of public benchmarks."""

from __future__ import annotations

import fcntl
from dataclasses import dataclass
from pathlib import Path

from configs.errors import UserError
from configs.files import read_json
from configs.schema import Experiment
from datamodules.sources import SOURCES
from launch.run.directory import RunDirectory, read_run
from launch.run.release import STATEMENT, read_statement

AGAIN = "Give the run's command again."


@dataclass(frozen=True)
class RunLine:
    """What is known of one run without reading anything that is not public."""

    name: str
    """Its folder's name."""
    state: str
    """`finished`, `running`, or which of its stages are done."""
    method: str = ""
    """Its method."""
    sensitive: str = ""
    """Its source of sensitive images."""
    epsilon: float | None = None
    """What its release states; None without one, or without a guarantee."""
    target: float | None = None
    """The budget that it was given; None if it has no guarantee."""
    private: bool = True
    """Whether it has a guarantee."""
    score: str = ""
    """The best accuracy of a classifier trained on its images, for public benchmarks."""


def runs_below(root: Path) -> list[RunLine]:
    """The runs in a folder, by name.

    Raises:
        UserError: if there is no such folder.
    """
    if not root.is_dir():
        raise UserError(f"there is no folder '{root}'. Give the folder that holds the runs (run.root).")
    return [line_of(path.parent) for path in sorted(root.glob("*/config.yaml"))]


def line_of(path: Path) -> RunLine:
    """One run. A file that is damaged is named in its state."""
    try:
        directory, config = read_run(str(path))
        state, score = state_of(directory, config), score_of(directory, config)
        told = read_statement(directory.release) if (directory.release / STATEMENT).is_file() else {}
    except UserError as error:
        return RunLine(path.name, f"damaged: {error}")
    private = directory.guarantee.private
    return RunLine(
        name=path.name,
        state=state,
        method=config.method,
        sensitive=config.sensitive.name,
        private=private,
        epsilon=told.get("epsilon") if private else None,
        target=config.privacy.epsilon if private else None,
        score=score,
    )


def state_of(directory: RunDirectory, config: Experiment) -> str:
    """Whether the run is finished, is being worked on, or where it stopped."""
    if locked(directory.path):
        return "running"
    names = [path.parent.name for path in directory.path.glob("stages/*/done.json")]
    left = len(config.stages) - sum(directory.marker(name) is not None for name in names)
    return "finished" if left <= 0 else f"stopped after {len(config.stages) - left} of {len(config.stages)} stages"


def locked(path: Path) -> bool:
    """Whether a process is working on a run."""
    try:
        with open(path / ".lock") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def score_of(directory: RunDirectory, config: Experiment) -> str:
    """The best accuracy on a public benchmark, in per cent; '' for other sets, whose scores are not public.

    Raises:
        UserError: if the scores are damaged.
    """
    path = directory.internal / "scores.json"
    if not is_public(config) or not path.is_file():
        return ""
    try:
        accuracies = read_json(path, AGAIN)["scores"][0]["accuracies"]
        name, best = max(accuracies.items(), key=lambda item: item[1])
        return f"{name.upper()} {best:.1%}"
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise UserError(f"'{path}' is damaged ({error!r}). {AGAIN}") from error


def is_public(config: Experiment) -> bool:
    """Whether the sensitive images are declared public: by a constant of their source, or by its key."""
    declared = getattr(config.sensitive, "public_benchmark", None)
    if declared is None:
        declared = SOURCES.implementation(config.sensitive.name).public_benchmark
    return declared is True
