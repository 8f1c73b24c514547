"""Time and peak memory of a stage."""

from __future__ import annotations

import contextlib
import resource
import time
from pathlib import Path
from types import TracebackType

import torch


class Meter:
    """Measures wall time and peak memory of the block it is entered around.

    seconds: wall time. peak_bytes: largest resident memory of the process within the block (Linux; since the start of
    the process elsewhere). gpu_peak_bytes: largest memory allocated on the GPU, 0 without one.
    """

    def __enter__(self) -> Meter:
        with contextlib.suppress(OSError):  # 5 resets the peak of the resident set, see proc(5)
            Path("/proc/self/clear_refs").write_text("5")
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        self.start = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.seconds = time.monotonic() - self.start
        self.peak_bytes = peak_resident()
        self.gpu_peak_bytes = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0


def peak_resident() -> int:
    """Peak resident memory of this process in bytes."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
