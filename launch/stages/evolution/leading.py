"""Pictures of the candidates that lead each round of Private Evolution. They follow only from noisy votes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from configs.files import atomic_write
from datamodules.sets.image_set import ImageSet
from evaluation.figures import data_uri, png, sample_grid
from evolution.samples import Samples

SHOWN = 8  # candidates per category


def keep_leading(
    folder: Path, number: int, population: Sequence[Samples], shares: Sequence[np.ndarray], class_names: Sequence[str]
) -> None:
    """Write `round-NNN.png`: the candidates of each category with the greatest shares, the greatest first.

    Args:
        folder: where the picture goes.
        number: number of the round, from 0.
        population: candidates of each category.
        shares: share of the votes of each candidate, one array per category.
        class_names: names of the categories.
    """
    best = [
        samples.take(np.argsort(-share, kind="stable")[:SHOWN])
        for samples, share in zip(population, shares, strict=True)
    ]
    labels = np.repeat(np.arange(len(best)), [len(samples) for samples in best])
    images = ImageSet(np.concatenate([samples.images for samples in best]), labels, tuple(class_names))
    picture = sample_grid(images, per_class=SHOWN)
    atomic_write(folder / f"round-{number:03d}.png", lambda file: file.write(png(picture)))


def leading(folder: Path) -> list[tuple[str, str]]:
    """A caption and a data: URI for each round's picture in the folder."""
    found = []
    for number, path in enumerate(sorted(folder.glob("round-*.png"))):
        with Image.open(path) as picture:
            found.append((f"Round {number + 1}", data_uri(picture)))
    return found
