"""Every run below a folder, in a line each. Nothing private is shown: scores only of public benchmarks."""

from __future__ import annotations

import fcntl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from configs.errors import UserError
from configs.files import read_json
from configs.loading import load
from configs.schema import Experiment
from launch.run.directory import RunDirectory

AGAIN = "Give the run's command again."
NO_SCORE = ""


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
    """What its release states; None without one."""
    target: float | None = None
    """The budget that it was given."""
    score: str = NO_SCORE
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
        config = load(str(path / "config.yaml"))
        statement = path / "release" / "privacy.json"
        told = read_json(statement, AGAIN) if statement.is_file() else {}
        return RunLine(
            path.name,
            state_of(path, config),
            config.method,
            config.sensitive.name,
            told.get("epsilon"),
            config.privacy.epsilon,
            score_of(path, config),
        )
    except UserError as error:
        return RunLine(path.name, f"damaged: {error}")


def state_of(path: Path, config: Experiment) -> str:
    """Whether the run is finished, is being worked on, or where it stopped."""
    if locked(path):
        return "running"
    directory = RunDirectory(path)
    done = [folder.parent.name for folder in path.glob("stages/*/done.json") if directory.marker(folder.parent.name)]
    left = len(config.stages) - len(done)
    return "finished" if left <= 0 else f"stopped after {len(done)} of {len(config.stages)} stages"


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


def score_of(path: Path, config: Experiment) -> str:
    """The best accuracy on a public benchmark, in per cent; nothing for other sets, whose scores are not public."""
    scores = path / "internal" / "scores.json"
    if not getattr(config.sensitive, "public_benchmark", True) or not scores.is_file():
        return NO_SCORE
    found: dict[str, Any] = read_json(scores, AGAIN)
    accuracies = found["scores"][0]["accuracies"] if found.get("scores") else {}
    if not accuracies:
        return NO_SCORE
    name = max(accuracies, key=lambda each: accuracies[each])
    return f"{name.upper()} {accuracies[name]:.1%}"
