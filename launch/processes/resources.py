"""Time and peak memory of a stage, and the memory that is free."""

from __future__ import annotations

import contextlib
import os
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


def free_memory(device: torch.device) -> int:
    """Bytes that are free on a GPU or, for the CPU, available on this machine within its control groups' limits."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        return torch.cuda.mem_get_info(device)[0]
    return int(min(available_memory(), *group_limits()))


def available_memory(path: Path = Path("/proc/meminfo")) -> int:
    """Main memory that can be had without swapping (Linux; all there is elsewhere)."""
    with contextlib.suppress(OSError):
        for line in path.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def group_limits(root: Path = Path("/sys/fs/cgroup"), process: Path = Path("/proc/self/cgroup")) -> list[float]:
    """What is left of the memory limits of this process' control groups (version 2): a container's, a batch job's."""
    left = [float("inf")]
    with contextlib.suppress(OSError, StopIteration):
        own = next(line for line in process.read_text().splitlines() if line.startswith("0::")).removeprefix("0::/")
        for group in [root / own, *(root / own).parents]:
            if not group.is_relative_to(root):
                break
            with contextlib.suppress(OSError, ValueError):  # no limit is the word "max"
                limit, used = (int((group / name).read_text()) for name in ("memory.max", "memory.current"))
                words = (group / "memory.stat").read_text().split()
                cached = int(words[words.index("inactive_file") + 1])  # given back when it is needed
                left.append(max(0, limit - used + cached))
    return left
