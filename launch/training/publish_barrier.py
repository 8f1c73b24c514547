"""The publish barrier: nothing computed from a private step is shown before that step is durable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lightning.pytorch.loggers.logger import Logger


class PublishBarrier(Logger):
    """Holds back the values for a logger until a checkpoint covers the step from which they were computed.

    So nobody has seen steps that are lost in a crash: they may run again with fresh noise, and are charged once. Values
    that are not released when the process ends are dropped. There is no `experiment`: it would bypass the barrier.

    Args:
        logger: gets the values once they are released.
    """

    def __init__(self, logger: Logger) -> None:
        super().__init__()
        self._logger = logger
        self._held: list[tuple[int, Callable[[], None]]] = []

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Hold back the values computed from a private step.

        Args:
            metrics: the values by name.
            step: the step, from 0.

        Raises:
            ValueError: if there is no step.
        """
        if step is None:
            raise ValueError("what is computed from a private step must say from which")
        self._held.append((step, lambda: self._logger.log_metrics(metrics, step)))

    def release(self, done: int) -> None:
        """Pass on, in order, the values of steps 0..done-1, which are durable now."""
        ready = [send for step, send in self._held if step < done]
        self._held = [(step, send) for step, send in self._held if step >= done]
        for send in ready:
            send()
        self._logger.save()

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Pass on the configuration, which is not computed from a private step."""
        self._logger.log_hyperparams(params, *args, **kwargs)

    def save(self) -> None:
        """Let the logger write what it got."""
        self._logger.save()

    def finalize(self, status: str) -> None:
        """Drop the values that are still held back, and close the logger."""
        self._held.clear()
        self._logger.finalize(status)

    @property
    def name(self) -> str | None:
        return self._logger.name

    @property
    def version(self) -> int | str | None:
        return self._logger.version

    @property
    def save_dir(self) -> str | None:
        return self._logger.save_dir

    @property
    def root_dir(self) -> str | None:
        return self._logger.root_dir

    @property
    def log_dir(self) -> str | None:
        return self._logger.log_dir
