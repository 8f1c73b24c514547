"""Drawing of synthetic images from a released model, in batches, at a measured speed."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor

from datamodules.image_set import ImageSet
from launch.ranks import Ranks
from lightning_modules.inference import accelerated
from lightning_modules.public_module import step_generator


@dataclass(frozen=True)
class Drawn:
    """Synthetic images, and the seconds it took to compile the network and to sample them with it."""

    images: ImageSet
    seconds: float
    compile_seconds: float

    @property
    def images_per_second(self) -> float:
        """Images a second, compiling left out."""
        return len(self.images) / self.seconds

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
    progress: Any,
    precision: str = "fp32",
    compile: bool = False,
    ranks: Ranks = Ranks(),  # noqa: B008 (frozen)
) -> Drawn:
    """Sample `count` images with uniform labels from a released model. Post-processing: no privacy cost.

    precision, compile: of the network alone, see `accelerated`. ranks: processes that share out the batches; the first
    gets all images, the others none, and they are the same on any number of processes. Raises UserError where the
    compiler fails.
    """
    device = next(model.trainable.parameters()).device
    labels = label_plan(count, len(class_names))
    parts = labels.split(batch_size)
    images: list[tuple[int, np.ndarray]] = []
    start = time.perf_counter()
    with accelerated(model.trainable, precision=precision, compile=compile) as network:
        for number, part in progress(ranks.share(parts)):
            full = padded(part, len(parts[0])) if compile else part
            sampled = model.sample(full.to(device), step_generator(seed, number, 0, device))
            images.append((number, sampled[: len(part)].cpu().numpy()))
    together = sorted(chain.from_iterable(ranks.gathered(images)), key=lambda batch: batch[0])
    seconds = time.perf_counter() - start - network.compile_seconds
    none = np.empty((0, *model.shape), dtype=np.uint8)
    everything = np.concatenate([none, *(batch for _, batch in together)])
    drawn = ImageSet(everything, labels[: len(everything)].numpy(), class_names)
    return Drawn(drawn, seconds, network.compile_seconds)


def padded(labels: Tensor, size: int) -> Tensor:
    """Labels [B] with zeros behind them, [size]: a compiled network wants one batch shape."""
    return torch.cat([labels, labels.new_zeros(size - len(labels))])
