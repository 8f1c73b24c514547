"""A training stage's way to a dashboard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lightning.pytorch.loggers.logger import Logger

Extra = Callable[[int], dict[str, float]]


def nothing(step: int) -> dict[str, float]:
    """What is shown beside the metrics of a step, unless something is."""
    return {}


class StageLogger(Logger):
    """Passes metrics on to another logger, with `beside(step)` and without the epoch: every fit is one."""

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
        """Nothing: modules carry data and keys; a tracker shows the configuration itself."""

    @property
    def name(self) -> str | None:
        return self._logger.name

    @property
    def version(self) -> int | str | None:
        return self._logger.version
