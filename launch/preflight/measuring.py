"""A few measured batches, and what a stage of many will take by them."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from configs.schema import Experiment
from datamodules.sets.image_set import LabelledImages
from launch.processes.resources import Meter

ROUNDS = 3  # measured batches a stage, after one to warm up


@dataclass(frozen=True)
class Estimate:
    """What one stage is expected to take. peak_bytes: of one process (or of its GPU, where there is one)."""

    stage: str
    seconds: float
    peak_bytes: int
    basis: str


@dataclass(frozen=True)
class Job:
    """The processes that will do the work, each on a device like the one that is measured.

    bandwidth: bytes a second between the machines, for sums of gradients.
    """

    processes: int = 1
    bandwidth: float = 10e9

    def part(self, size: float) -> int:
        """The largest part of a batch that one process gets, at least 1."""
        return max(1, math.ceil(size / self.processes))

    def sending(self, model: Any, width: int = 4) -> float:
        """Seconds of one all-reduce of a model's gradients, as a ring: 2 (N - 1) / N of them each way.

        width: bytes a value: 4 for float32, 8 for the whole numbers of a private step.
        """
        count = sum(parameter.numel() for parameter in model.parameters())
        return width * count * 2 * (self.processes - 1) / self.processes / self.bandwidth


@dataclass(frozen=True)
class Measurement:
    """What the measurements of all stages share."""

    config: Experiment
    public: LabelledImages
    classes: int
    n: int
    device: torch.device
    job: Job


def batch(images: LabelledImages, size: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """`size` images and their labels, repeated where there are fewer."""
    chosen = images.subset(np.arange(size) % len(images)).in_memory()
    return torch.from_numpy(chosen.images).to(device), torch.from_numpy(chosen.labels).to(device)


def extrapolate(stage: str, work: Callable[[], Any], *, rounds: float, basis: str, serial: float = 0.0) -> Estimate:
    """The median of a few rounds, times how many there will be. serial: seconds of the whole stage that come on top."""
    seconds, peak_bytes = median_seconds(work)
    return Estimate(stage, seconds * math.ceil(rounds) + serial, peak_bytes, basis)


def median_update(network: nn.Module) -> float:
    """Seconds of one step of Adam, which every process takes for itself."""
    optimizer = torch.optim.Adam(network.parameters())
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    seconds, _ = median_seconds(optimizer.step)
    optimizer.zero_grad()
    return seconds


def median_seconds(work: Callable[[], Any]) -> tuple[float, int]:
    """The median seconds of a few rounds after one that warms up, and the peak of memory in bytes."""
    times = []
    with Meter() as meter:
        for _ in range(1 + ROUNDS):
            start = time.perf_counter()
            work()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            times.append(time.perf_counter() - start)
    return statistics.median(times[1:]), meter.gpu_peak_bytes or meter.peak_bytes
