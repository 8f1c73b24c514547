"""How the metrics of a training stage get to a dashboard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lightning.pytorch.loggers.logger import Logger

Extra = Callable[[int], dict[str, float]]
"""From a step to the values that are shown in addition to its metrics."""


def nothing(step: int) -> dict[str, float]:
    """The default `Extra`: no values."""
    return {}


class StageLogger(Logger):
    """Passes metrics on to another logger, with extra values and without the epoch: every fit has only one.

    Args:
        logger: gets the metrics.
        extra: from a step to values that are added to its metrics.
    """

    def __init__(self, logger: Logger, extra: Extra = nothing) -> None:
        super().__init__()
        self._logger = logger
        self._extra = extra

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Pass on the values of a step."""
        values = {name: float(value) for name, value in metrics.items() if name != "epoch"}
        self._logger.log_metrics(values | ({} if step is None else self._extra(step)), step)

    def save(self) -> None:
        """Write what the logger still holds back."""
        self._logger.save()

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Does nothing: modules contain data and keys, and a tracker shows the configuration itself."""

    @property
    def name(self) -> str | None:
        return self._logger.name

    @property
    def version(self) -> int | str | None:
        return self._logger.version
