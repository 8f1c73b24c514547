"""Dashboards in files that stay in `internal/`: TensorBoard and CSV, through Lightning's loggers. Not private."""

from __future__ import annotations

import importlib.util
from functools import cached_property
from pathlib import Path

import numpy as np
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.loggers.logger import Logger
from PIL import Image

from configs.components.trackers import CsvConfig, TensorBoardConfig
from configs.errors import UserError
from configs.schema import Experiment
from launch.tracking.tracker import TRACKERS, TrackedRun, Tracker

SCORES = "scores"  # the folder of scores, next to those of the stages


@TRACKERS.register(TensorBoardConfig)
class TensorBoard(Tracker):
    """TensorBoard's event files in internal/tensorboard; needs the package tensorboard."""

    destination = "tensorboard"

    def __init__(self, config: TensorBoardConfig, run: TrackedRun) -> None:
        self.folder = run.internal / config.name

    @staticmethod
    def check(config: Experiment) -> None:
        """Raise UserError if the package is missing."""
        if not any(importlib.util.find_spec(name) for name in ("tensorboard", "tensorboardX")):
            raise UserError(
                "tracking: 'tensorboard' needs the package of that name. Install it (`pip install tensorboard`), or "
                "use tracking=[csv]."
            )

    def stage_logger(self, stage: str) -> TensorBoardLogger:
        """A folder of event files; each start of a stage adds one."""
        return TensorBoardLogger(self.folder, name=stage, version="", default_hp_metric=False)

    @cached_property
    def scores(self) -> TensorBoardLogger:
        """The event files of the scores."""
        return self.stage_logger(SCORES)

    def point(self, step: int, epsilon: float, values: dict[str, float], picture: Path | None) -> None:
        """Scores by step, since TensorBoard's steps are whole numbers; ε is one of the values."""
        self.scores.log_metrics({**values, "epsilon": epsilon}, step)
        if picture is not None:
            pixels = np.asarray(Image.open(picture).convert("RGB"))
            self.scores.experiment.add_image("samples", pixels, step, dataformats="HWC")
        self.scores.save()

    @property
    def place(self) -> str:
        return f"tensorboard --logdir {self.folder}"


@TRACKERS.register(CsvConfig)
class Csv(Tracker):
    """Comma-separated values in internal/csv; each start of a stage gets its own version."""

    destination = "csv"

    def __init__(self, config: CsvConfig, run: TrackedRun) -> None:
        self.folder = run.internal / config.name

    def stage_logger(self, stage: str) -> Logger:
        """A file metrics.csv in the next free version_N."""
        return CSVLogger(self.folder, name=stage)

    @cached_property
    def scores(self) -> Logger:
        """The file of the scores."""
        return self.stage_logger(SCORES)

    def point(self, step: int, epsilon: float, values: dict[str, float], picture: Path | None) -> None:
        """A row of scores."""
        self.scores.log_metrics({**values, "epsilon": epsilon}, step)
        self.scores.save()

    @property
    def place(self) -> str:
        return str(self.folder)
