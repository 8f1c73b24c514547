"""Measure a few batches of a stage, and extrapolate to all of them."""

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

ROUNDS = 3  # measured batches per stage, after one to warm up


@dataclass(frozen=True)
class Estimate:
    """What one stage is expected to take."""

    stage: str
    """Name of the stage."""
    seconds: float
    """Wall time."""
    peak_bytes: int
    """Peak memory of one process, or of its GPU if there is one."""
    basis: str
    """How much work was extrapolated to, in words."""


@dataclass(frozen=True)
class Job:
    """The processes that will do the work, each on a device equal to the measured one."""

    processes: int = 1
    """Number of processes."""
    bandwidth: float = 10e9
    """Bytes per second between the machines, for sums of gradients."""

    def part(self, size: float) -> int:
        """The largest part of a batch that one process gets, at least 1."""
        return max(1, math.ceil(size / self.processes))

    def sending(self, model: Any, width: int = 4) -> float:
        """Seconds of one all-reduce of a model's gradients, as a ring: 2 (N - 1) / N of them each way.

        Args:
            model: a module with parameters.
            width: bytes per value: 4 for float32, 8 for the whole numbers of a private step.
        """
        count = sum(parameter.numel() for parameter in model.parameters())
        return width * count * 2 * (self.processes - 1) / self.processes / self.bandwidth


@dataclass(frozen=True)
class Measurement:
    """What the measurements of all stages need."""

    config: Experiment
    """The experiment's configuration."""
    public: LabelledImages
    """Public images, from which batches are taken."""
    class_names: tuple[str, ...]
    """Names of the sensitive categories."""
    n: int
    """Number of sensitive records, public by declaration."""
    device: torch.device
    """Where batches are measured."""
    job: Job
    """The processes that will do the work."""

    @property
    def classes(self) -> int:
        """Number of sensitive categories."""
        return len(self.class_names)


def batch(images: LabelledImages, size: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """A batch of images, repeated if there are fewer than `size`.

    Returns:
        Images uint8 [size, C, H, W] and labels int64 [size], on the device.
    """
    chosen = images.subset(np.arange(size) % len(images)).in_memory()
    return torch.from_numpy(chosen.images).to(device), torch.from_numpy(chosen.labels).to(device)


def extrapolate(stage: str, work: Callable[[], Any], *, rounds: float, basis: str, serial: float = 0.0) -> Estimate:
    """An estimate: the median time of a few rounds, times the number of rounds.

    Args:
        stage: name of the stage.
        work: does one round.
        rounds: number of rounds of the stage.
        basis: how much work that is, in words.
        serial: additional seconds of the whole stage.
    """
    seconds, peak_bytes = median_seconds(work)
    return Estimate(stage, seconds * math.ceil(rounds) + serial, peak_bytes, basis)


def median_update(network: nn.Module) -> float:
    """Seconds of one step of Adam, which every process takes itself."""
    optimizer = torch.optim.Adam(network.parameters())
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    seconds, _ = median_seconds(optimizer.step)
    optimizer.zero_grad()
    return seconds


def median_seconds(work: Callable[[], Any]) -> tuple[float, int]:
    """The median seconds of a few rounds, after one to warm up, and the peak memory in bytes."""
    times = []
    with Meter() as meter:
        for _ in range(1 + ROUNDS):
            start = time.perf_counter()
            work()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            times.append(time.perf_counter() - start)
    return statistics.median(times[1:]), meter.gpu_peak_bytes or meter.peak_bytes
