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
_PIECE = 2**18  # values that a thread draws at a time; even, as `PrivateAccess.noise` asks


@dataclass(frozen=True)
class _Drawing:
    """Values start … start + count - 1 of a step's noise, complete when every piece is done."""

    step: int
    start: int
    noise: Tensor
    pieces: list[Future[None]]


class NoiseAhead(Secret):
    """`access.whole_noise` of one step after the other, each begun before it is needed. Sees no data.

    unit: the spacing of the grid that the noise is in multiples of. PrivacyError where it is too fine for the noise.

    A step's noise is a function of the access's key and the step alone, so when it is drawn, and by which thread,
    changes nothing. It is handed out once: steps ascend, and what was drawn for a step that is never taken is dropped.
    Each step's threads begin with its drawing and end with it, so none outlives a fit by more than one step's noise,
    however the fit ends, and none is there before the first step (tests fork). Two steps' noise is held at most.
    """

    def __init__(self, access: PrivateAccess, unit: float, threads: int = THREADS) -> None:
        whole_std(access.mechanism, unit)
        self._access = access
        self._unit = unit
        self._threads = threads
        self._drawing: _Drawing | None = None
        self._taken = -1

    def begin(self, step: int, count: int, device: torch.device, start: int = 0) -> None:
        """Begin the noise of `step` for a sum on `device`, unless it is begun.

        count, start: of which part of the sum; start is even.
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
        pool.shutdown(wait=False)  # takes no more work; its threads end when this is done

    def take(self, step: int, count: int, device: torch.device, start: int = 0) -> Tensor:
        """The noise of `step`, int64 [count] on `device`, for the part of the sum from `start` on; begins the next.

        start: even. Equal to those values of `access.whole_noise(step, …)`. Waits for what is not drawn yet. Raises
        what drawing raised, and PrivacyError for a step that is not above all that were taken.
        """
        if step <= self._taken:
            raise PrivacyError(f"noise of step {step} is asked for again: on two sums it would betray their difference")
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
        """Drop what was begun; no thread draws any more when this returns."""
        if self._drawing is not None:
            for piece in self._drawing.pieces:
                piece.cancel()
            wait(self._drawing.pieces)
            self._drawing = None
