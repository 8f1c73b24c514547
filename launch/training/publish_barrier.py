"""The publish barrier: nothing computed from a private step is shown before that step is durable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lightning.pytorch.loggers.logger import Logger


class PublishBarrier(Logger):
    """Holds back what a logger is given until a checkpoint covers the step it was computed from.

    Steps lost in a crash were then seen by nobody: they may run again with fresh noise and are charged once. Steps
    count from 0; `release(done)`, with `done` steps durable, lets the values of steps 0..done-1 through, in order. What
    is not released when the process ends is dropped. There is no `experiment`: it would lead around the barrier.
    """

    def __init__(self, logger: Logger) -> None:
        super().__init__()
        self._logger = logger
        self._held: list[tuple[int, Callable[[], None]]] = []

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Hold back the values computed from private step `step`; ValueError without a step."""
        if step is None:
            raise ValueError("what is computed from a private step must say from which")
        self._held.append((step, lambda: self._logger.log_metrics(metrics, step)))

    def release(self, done: int) -> None:
        """Let through what was computed from the first `done` steps, now that they are durable."""
        ready = [send for step, send in self._held if step < done]
        self._held = [(step, send) for step, send in self._held if step >= done]
        for send in ready:
            send()
        self._logger.save()

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Pass on the configuration, which is no result of a private step."""
        self._logger.log_hyperparams(params, *args, **kwargs)

    def save(self) -> None:
        """Let the logger write what it was given."""
        self._logger.save()

    def finalize(self, status: str) -> None:
        """Drop what is still held back, and close the logger."""
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
