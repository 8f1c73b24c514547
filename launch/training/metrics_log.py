"""Curves of a training stage as JSON lines: appended to when a stage resumes, never rewritten."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities.rank_zero import rank_zero_only

FILE = "metrics.jsonl"


class MetricsLog(Logger):
    """A Lightning logger that appends one line `{"step": …, name: value, …}` per step to `folder/metrics.jsonl`."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.path = Path(folder) / FILE

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Append the values of a step."""
        values = {name: float(value) for name, value in metrics.items() if name != "epoch"}
        line = json.dumps({"step": step, **values}) + "\n"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path, "a+b") as file:
            if file.tell() and not _ends_a_line(file):
                line = "\n" + line  # a crash cut the last line short; the new one must be complete
            file.write(line.encode())

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Does nothing: the run's configuration is in its folder already."""

    @property
    def name(self) -> str:
        return self.path.parent.name

    @property
    def version(self) -> str:
        return ""

    @property
    def save_dir(self) -> str:
        return str(self.path.parent)


def _ends_a_line(file: Any) -> bool:
    file.seek(-1, 2)
    return file.read(1) == b"\n"


def read_metrics(path: Path) -> dict[str, list[tuple[int, float]]]:
    """The curves by name. If a step was run again, its last values count; incomplete lines are skipped.

    Args:
        path: the folder, or the file in it.

    Returns:
        For each name the points (step, value), by ascending step; {} if there is no file.
    """
    path = Path(path)
    path = path / FILE if path.is_dir() else path
    curves: dict[str, dict[int, float]] = defaultdict(dict)
    for line in path.read_text().splitlines() if path.is_file() else ():
        try:
            values = json.loads(line)
        except ValueError:
            continue
        step = values.pop("step")
        for name, value in values.items():
            curves[name][step] = value
    return {name: sorted(points.items()) for name, points in curves.items()}
