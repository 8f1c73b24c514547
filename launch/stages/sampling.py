"""Draw synthetic images from a released model, in batches, and measure the speed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from configs.errors import UserError
from configs.files import atomic_write
from datamodules.sets.image_set import ImageSet
from launch.processes.ranks import Ranks
from lightning_modules.acceleration import accelerated
from lightning_modules.public_module import step_generator

FILE = "batch-{:06d}.npy"
LATE = 120.0  # seconds after which a batch of another process counts as missing
Progress = Callable[[Iterable[Any], int], Iterable[Any]]  # from the pieces of work and their number to the pieces


@dataclass(frozen=True)
class Drawn:
    """Synthetic images, and how long they took."""

    images: ImageSet
    """The images; none in other processes than the first."""
    sampled: int
    """How many of them were sampled by this call, by all processes together."""
    seconds: float
    """Wall time for them, without compiling."""
    compile_seconds: float
    """Wall time for compiling, 0 if nothing was compiled."""

    @property
    def images_per_second(self) -> float:
        """Images per second, without compiling."""
        return self.sampled / self.seconds

    @property
    def speed(self) -> str:
        """The speed in words."""
        compiled = f" (compiled in {self.compile_seconds:.0f} s)" if self.compile_seconds else ""
        rate = self.images_per_second
        return f"{rate:.0f} images/s{compiled}" if rate >= 10 else f"{rate:.2g} images/s{compiled}"


def label_plan(count: int, classes: int) -> Tensor:
    """Labels of the synthetic images, int64 [count]: uniform, since the class proportions are not public."""
    return torch.arange(count) % classes


@torch.inference_mode()
def draw(
    model: Any,
    count: int,
    class_names: tuple[str, ...],
    *,
    seed: int,
    batch_size: int,
    progress: Progress,
    precision: str = "fp32",
    compiled: bool = False,
    kept: Path | None = None,
    ranks: Ranks = Ranks(),  # noqa: B008 (frozen)
) -> Drawn:
    """Sample images with uniform labels from a released model. Post-processing: no privacy cost.

    The images are the same for any number of processes.

    Args:
        model: the generator.
        count: number of images.
        class_names: names of its categories.
        seed: seed of the random numbers.
        batch_size: images at once.
        progress: shows the progress over the batches.
        precision: of the network, see `accelerated`.
        compiled: whether the network is compiled, see `accelerated`.
        kept: folder of finished batches, from which sampling resumes after an interruption.
        ranks: processes that divide the batches among them through that folder. The first gets all images.

    Raises:
        Interrupted: between two batches, if a signal asked to stop.
        UserError: if the compiler fails, the disk is full, or a batch of another process does not appear.
        ValueError: if there are several processes and no folder.
    """
    if ranks.world > 1 and kept is None:
        raise ValueError("several processes need a folder to exchange batches")
    device = next(model.released.parameters()).device
    labels = label_plan(count, len(class_names))
    parts = labels.split(batch_size)
    images: dict[int, np.ndarray] = {}
    sampled, start = 0, time.perf_counter()
    with accelerated(model.released, precision=precision, compile=compiled) as network:
        for number, part in progress(ranks.share(parts), ranks.count(parts)):
            batch = finished(kept, number, (len(part), *model.shape))
            if batch is None:
                full = padded(part, len(parts[0])) if compiled else part
                batch = (
                    model.sample(full.to(device), step_generator(seed, number, 0, device))[: len(part)].cpu().numpy()
                )
                sampled += len(part)
                keep(kept, number, batch)
            images[number] = batch
    sampled = sum(ranks.all_gather(sampled))
    seconds = time.perf_counter() - start - network.compile_seconds
    if ranks.world > 1:
        shapes = {number: (len(part), *model.shape) for number, part in enumerate(parts)} if ranks.first else {}
        images = {number: awaited(kept, number, shape) for number, shape in shapes.items()}
    everything = np.concatenate(
        [np.empty((0, *model.shape), dtype=np.uint8), *(images[number] for number in sorted(images))]
    )
    drawn = ImageSet(everything, labels[: len(everything)].numpy(), class_names)
    return Drawn(drawn, sampled, seconds, network.compile_seconds)


def padded(labels: Tensor, size: int) -> Tensor:
    """Labels [B], padded with zeros to [size]: a compiled network needs one batch shape."""
    return torch.cat([labels, labels.new_zeros(size - len(labels))])


def finished(folder: Path | None, number: int, shape: tuple[int, ...]) -> np.ndarray | None:
    """A batch that was kept, uint8 of this shape; None if it is missing, damaged or of another shape."""
    if folder is None:
        return None
    try:
        images = np.load(folder / FILE.format(number))
    except (OSError, ValueError, EOFError):  # missing or damaged: it is drawn again
        return None
    return images if images.shape == shape and images.dtype == np.uint8 else None


def awaited(folder: Path | None, number: int, shape: tuple[int, ...]) -> np.ndarray:
    """A batch that another process has kept. A network file system may show it late.

    Raises:
        UserError: if it does not appear within `LATE` seconds.
    """
    end = time.monotonic() + LATE
    while (batch := finished(folder, number, shape)) is None:
        if time.monotonic() > end:
            raise UserError(
                f"'{folder}' does not show what another process of the job has sampled. Put run.root on a folder that "
                "all machines share, and give the same command again."
            )
        time.sleep(0.5)
    return batch


def keep(folder: Path | None, number: int, images: np.ndarray) -> None:
    """Keep a batch: durably, and completely or not at all."""
    if folder is not None:
        atomic_write(folder / FILE.format(number), lambda file: np.save(file, images))
