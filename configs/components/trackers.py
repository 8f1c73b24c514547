"""Dashboards: their names and keys."""

from __future__ import annotations

from dataclasses import dataclass

from configs.fields import key
from configs.registry import Catalogue

TRACKER_NAMES = Catalogue("tracker")


@TRACKER_NAMES.add
@dataclass
class WandbConfig:
    """Weights & Biases (wandb.*): offline files in internal/wandb, or a server."""

    name: str = key("wandb", "Weights & Biases; see the keys wandb.*")


@TRACKER_NAMES.add
@dataclass
class TensorBoardConfig:
    """TensorBoard's event files in internal/tensorboard; needs the package tensorboard."""

    name: str = key("tensorboard", "TensorBoard's event files in internal/tensorboard")


@TRACKER_NAMES.add
@dataclass
class CsvConfig:
    """Comma-separated values in internal/csv; each start of a stage is a version of its own."""

    name: str = key("csv", "tables of comma-separated values in internal/csv")
