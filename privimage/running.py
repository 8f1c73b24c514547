"""A whole run from Python."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from configs.errors import UserError
from configs.files import read_json
from configs.loading import load
from launch import components, pipeline
from launch.console import Console
from launch.run.directory import RunDirectory

AGAIN = "Remove the file and run the same experiment again to rebuild it."


@dataclass(frozen=True)
class Result:
    """What a run has made."""

    folder: Path
    """The run's folder."""
    release: Path | None
    """The folder that may be published; None if nothing of the run may be."""
    epsilon: float | None
    """ε that was spent; None if the run has no guarantee or has released nothing yet."""
    delta: float | None
    """δ, or None like ε."""
    notice: str | None
    """Why nothing of the run is private, or None if it is."""
    report: Path | None
    """The report page, which is NOT private; None if the stage was left out."""
    scores: list[dict[str, Any]]
    """A row per set of images, the synthetic ones first: `name`, `accuracies`, and distances.

    Sensitive: computed from the real test images without noise. Keep them with the images.
    """


def run(experiment: str | Path, overrides: Sequence[str] = (), *, quiet: bool = True) -> Result:
    """Run an experiment from data to report, or resume it: the same call continues where it stopped.

    Args:
        experiment: a preset, or a YAML file.
        overrides: `key=value` each, as on the command line.
        quiet: print nothing; otherwise a line per stage and progress bars, on standard error.

    Raises:
        UserError: for anything that you can fix. What is finished stays, and nothing is charged twice.
        KeyboardInterrupt: at Ctrl-C, at once. The same call resumes from the last checkpoint.
    """
    config = load(str(experiment), list(overrides))
    if config.launch.devices > 1:
        raise UserError(
            f"launch.devices: got {config.launch.devices}; from Python a run has one process. Use the command "
            "`privimage run` for several."
        )
    components.load()
    return result_of(pipeline.run(config, Console(quiet=quiet)))


def result_of(directory: RunDirectory) -> Result:
    """The result of a run that is finished as far as its stages go."""
    made = pipeline.summary(directory)
    notice = directory.guarantee.notice
    private = notice is None and made["release"] is not None
    scores = directory.internal / "scores.json"
    return Result(
        folder=directory.path,
        release=Path(made["release"]) if private else None,
        epsilon=made.get("epsilon") if private else None,
        delta=made.get("delta") if private else None,
        notice=notice,
        report=Path(made["report"]) if made["report"] else None,
        scores=read_json(scores, AGAIN)["scores"] if scores.is_file() else [],
    )
