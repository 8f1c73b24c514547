"""The noise of private steps, drawn on other threads while gradients are computed."""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

import torch
from torch import Tensor

from accounting.access import PrivacyError, PrivateAccess, whole_std
from accounting.secret import Secret

THREADS = min(4, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
_PIECE = 2**18  # values that a thread draws at a time; even, as `PrivateAccess.whole_noise` requires


@dataclass(frozen=True)
class _Drawing:
    """Values start … start + count - 1 of a step's noise, complete when every piece is done."""

    step: int
    start: int
    noise: Tensor
    pieces: list[Future[None]]


class NoiseAhead(Secret):
    """`access.whole_noise` of one step after the other, each started before it is needed. Sees no data.

    A step's noise depends only on the access's key and the step, so when it is drawn, and by which thread, changes
    nothing. It is handed out once: steps ascend, and what was drawn for a step that is never taken is dropped.

    Each step's threads start and end with its drawing. So after a fit, however it ends, threads run for at most one
    more step's noise, and there are no threads before the first step (tests fork). At most two steps' noise is held.

    Args:
        access: the charged mechanism.
        unit: spacing of the grid; the noise is in multiples of it.
        threads: how many threads draw.

    Raises:
        PrivacyError: if the unit is too small for the noise.
    """

    def __init__(self, access: PrivateAccess, unit: float, threads: int = THREADS) -> None:
        whole_std(access.mechanism, unit)
        self._access = access
        self._unit = unit
        self._threads = threads
        self._drawing: _Drawing | None = None
        self._taken = -1

    def begin(self, step: int, count: int, device: torch.device, start: int = 0) -> None:
        """Start drawing the noise of `step`, unless that was started already.

        Args:
            step: number of the step.
            count: how many values of the sum.
            device: where the sum is.
            start: first of these values; even.
        """
        begun = self._drawing
        if begun and (begun.step, begun.start, len(begun.noise)) == (step, start, count):
            return
        self.close()
        # pinned, so that the copy to the device need not wait for the processor
        noise = torch.empty(count, dtype=torch.int64, pin_memory=device.type == "cuda")
        values = noise.numpy()

        def draw(first: int) -> None:
            part = values[first : first + _PIECE]
            part[:] = self._access.whole_noise(step, len(part), self._unit, start + first)

        pool = ThreadPoolExecutor(self._threads, thread_name_prefix="noise-ahead")
        self._drawing = _Drawing(step, start, noise, [pool.submit(draw, first) for first in range(0, count, _PIECE)])
        pool.shutdown(wait=False)  # accepts no more work; its threads end when this is done

    def take(self, step: int, count: int, device: torch.device, start: int = 0) -> Tensor:
        """The noise of `step`, int64 [count] on `device`; starts the next step's.

        Equal to those values of `access.whole_noise(step, …)`. Waits for what is not drawn yet.

        Args:
            step: number of the step.
            count: how many values of the sum.
            device: where the sum is.
            start: first of these values; even.

        Raises:
            PrivacyError: if the step is not above all steps that were taken.
            Exception: any error of the drawing itself.
        """
        if step <= self._taken:
            raise PrivacyError(f"noise of step {step} is requested again: on two sums it would reveal their difference")
        self._taken = step
        self.begin(step, count, device, start)
        drawing = self._drawing
        assert drawing is not None
        try:
            for piece in drawing.pieces:
                piece.result()
        finally:
            self.close()
        if step + 1 < self._access.mechanism.steps:
            self.begin(step + 1, count, device, start)
        return drawing.noise.to(device, non_blocking=True)

    def close(self) -> None:
        """Drop what was started; no thread draws any more when this returns."""
        if self._drawing is not None:
            for piece in self._drawing.pieces:
                piece.cancel()
            wait(self._drawing.pieces)
            self._drawing = None
