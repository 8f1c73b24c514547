"""Time and peak memory of a stage, and free memory."""

from __future__ import annotations

import contextlib
import os
import resource
import time
from pathlib import Path
from types import TracebackType

import torch


class Meter:
    """Measures wall time and peak memory of the `with` block around which it is used."""

    seconds: float
    """Wall time."""
    peak_bytes: int
    """Largest resident memory of the process within the block (on Linux; elsewhere since the process started)."""
    gpu_peak_bytes: int
    """Largest memory allocated on the GPU, 0 without one."""

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
    """Free bytes on a GPU or, for the CPU, bytes available on this machine within the limits of its control groups."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        return torch.cuda.mem_get_info(device)[0]
    return int(min(available_memory(), *group_limits()))


def available_memory(path: Path = Path("/proc/meminfo")) -> int:
    """Bytes of main memory that are available without swapping (on Linux; elsewhere all memory).

    Args:
        path: file with the kernel's figures.
    """
    with contextlib.suppress(OSError):
        for line in path.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def group_limits(root: Path = Path("/sys/fs/cgroup"), process: Path = Path("/proc/self/cgroup")) -> list[float]:
    """Bytes left of each memory limit of this process' control groups (version 2), such as a container or batch job.

    Args:
        root: where the control groups are mounted.
        process: file that says in which group this process is.
    """
    left = [float("inf")]
    with contextlib.suppress(OSError, StopIteration):
        own = next(line for line in process.read_text().splitlines() if line.startswith("0::")).removeprefix("0::/")
        for group in [root / own, *(root / own).parents]:
            if not group.is_relative_to(root):
                break
            with contextlib.suppress(OSError, ValueError):  # no limit is the word "max"
                limit, used = (int((group / name).read_text()) for name in ("memory.max", "memory.current"))
                words = (group / "memory.stat").read_text().split()
                cached = int(words[words.index("inactive_file") + 1])  # the system frees it if it is needed
                left.append(max(0, limit - used + cached))
    return left
