"""The largest micro-batch that fits: measured on made-up images, so that it says nothing about the sensitive ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch

from configs.errors import UserError
from lightning_modules.dp_sgd.engine import ClippedSum
from lightning_modules.memory import peak_memory

PROBES = (1, 2, 4, 8, 16)  # records: quickly measured, and enough to find the moment that takes most memory
MARGIN = 1.1  # for memory that kernels use while they run, and for growth that is not linear
GIB = 2**30

Measure = Callable[[int], int | None]


@dataclass(frozen=True)
class MicroBatch:
    """A size of micro-batch and its memory."""

    size: int
    """Records whose gradients are held at once."""
    peak_bytes: int
    """Bytes that this needs, with a margin."""


def largest_micro_batch(
    engine: ClippedSum,
    *,
    shape: tuple[int, ...],
    classes: int,
    device: torch.device,
    memory: float,
    largest: int,
    beside: float = 0,
) -> MicroBatch:
    """The largest micro-batch whose clipped sum fits into the memory. Touches no sensitive data.

    On the CPU the result depends only on the arguments; on a GPU the size is tried out.

    Args:
        engine: over a model that is on the device.
        shape: (C, H, W) of an image.
        classes: number of categories.
        device: where training runs.
        memory: bytes for fine-tuning.
        largest: largest size to consider, in records.
        beside: bytes that training holds in addition, all the time.

    Raises:
        UserError: if not even one record fits.
    """

    def measure(size: int) -> int | None:
        random = torch.Generator().manual_seed(0)
        images = torch.randint(0, 256, (size, *shape), generator=random, dtype=torch.uint8).to(device)
        labels = torch.randint(0, classes, (size,), generator=random).to(device)
        draws = torch.Generator(device).manual_seed(0)
        return peak_memory(lambda: engine.clipped_sum(images, labels, draws), device)

    found = largest_fitting(measure, memory=memory - beside, largest=largest, verify=device.type == "cuda")
    if found.size:
        return found
    needed = f"{math.ceil((found.peak_bytes + beside) / GIB * 100) / 100:.2f} GiB" if found.peak_bytes else "more"
    raise UserError(
        f"finetune.memory_gib: one record needs {needed}, but there are {memory / GIB:.2f} GiB for fine-tuning. Give "
        "more memory, a smaller network, a smaller image.resolution, or a smaller generator.multiplicity."
    )


def largest_fitting(measure: Measure, *, memory: float, largest: int, verify: bool) -> MicroBatch:
    """The largest size in 1..largest that needs at most `memory`; if no size fits, size 0 with the need of one record.

    Needs of sizes beyond a few small ones are extrapolated by a line as steep as the steepest part between two of
    these.

    Args:
        measure: from a size to the bytes that it needs, or None if it needs more than there is.
        memory: bytes.
        largest: largest size to consider.
        verify: also measure the size that is returned, and reduce it until it fits, for needs that grow faster than a
            line.
    """
    points: list[tuple[int, int]] = []
    for size in (probe for probe in PROBES if probe <= largest):
        if points and MARGIN * (points[-1][1] + (size - points[-1][0]) * steepest(points)) > memory:
            break  # would hardly fit, and a CPU may not have that much memory
        need = measure(size)
        if need is None or MARGIN * need > memory:
            largest = size - 1
            break
        points.append((size, need))
    if not points:
        return MicroBatch(0, math.ceil(MARGIN * (need or 0)))
    known, need = points[-1]
    slope = steepest(points)
    size = min(largest, known + int((memory / MARGIN - need) / max(slope, 1e-9)))
    while verify and size > known:
        measured = measure(size)
        if measured is not None and measured <= memory:
            return MicroBatch(size, measured)
        smaller = size // 2 if measured is None else min(size - 1, int(size * memory / measured))
        size = max(known, smaller)
    return MicroBatch(size, math.ceil(MARGIN * (need + (size - known) * slope)))


def steepest(points: list[tuple[int, int]]) -> float:
    """The largest growth per record between neighbouring points (size, need); through the origin if there is one point.

    If the peak moves from one moment of the work to another, the need grows faster with more records, never slower.
    """
    if len(points) == 1:
        return points[0][1] / points[0][0]
    return max((more - less) / (large - small) for (small, less), (large, more) in pairwise(points))
