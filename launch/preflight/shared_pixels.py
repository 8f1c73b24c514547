"""Count sensitive images among the public ones, by their pixels. Not private: only for the owner of the images."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from datamodules.batches.public import OrderedBatches
from datamodules.sets.image_set import LabelledImages, Reading
from launch.components import discreet, images_of, naming, read
from launch.run.setup import Setup

BATCH = 1024  # images at once
NOTICE = (
    "NOT PRIVATE: the sensitive images were read to count this, without noise, and no guarantee covers it. Keep it "
    "with the images. Copies that were encoded again with loss, rotated or cropped differently are not found."
)


@dataclass(frozen=True)
class Overlap:
    """What two sets have in common. Not private."""

    found: dict[str, int]
    """Number of sensitive images with the pixels of a public image, by split."""
    of: dict[str, int]
    """Number of sensitive images, by split."""
    categories: dict[str, int]
    """Number of public images with the pixels of a sensitive one, by public category; without zeros."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "private": False, "notice": NOTICE}

    def lines(self) -> list[str]:
        """The same as lines of text."""
        counts = " and ".join(f"{self.found[split]} of {self.of[split]} {split} images" for split in self.found)
        lines = [f"overlap: {counts} have the pixels of a public image"]
        if self.categories:
            named = ", ".join(f"'{name}' ({count})" for name, count in self.categories.items())
            lines.append(f"in the public categories {named}: remove them before a run, nothing protects them there")
        return [*lines, NOTICE]


def overlap(setup: Setup, *, progress: bool = True) -> Overlap:
    """Compare every sensitive image with every public image, in both splits of both sets. Writes nothing.

    Two images are the same if all their pixels are, at the resolution of the run. Copies that were encoded with loss,
    rotated or cropped differently are not found.

    Args:
        setup: the run that was planned and checked.
        progress: whether to show progress bars.

    Sensitive: reads all sensitive images. The result has no noise, and no guarantee covers it.
    """
    settings, source = setup.config.launch, setup.sources.sensitive
    reading = Reading(settings.workers, settings.reader)
    with discreet(source), naming("sensitive"):
        sensitive = {
            name: [digest for digest, _ in digests(images_of(source, test=test, progress=progress), reading)]
            for name, test in (("training", False), ("test", True))
        }
    known = {digest for split in sensitive.values() for digest in split}
    shared, categories, source = set[bytes](), Counter[str](), setup.sources.public
    for test in (False, True):
        images = read("public", source, test=test, progress=progress)
        for digest, label in digests(images, reading):
            if digest in known:
                shared.add(digest)
                categories[images.class_names[label]] += 1
    return Overlap(
        found={split: sum(digest in shared for digest in each) for split, each in sensitive.items()},
        of={split: len(each) for split, each in sensitive.items()},
        categories=dict(sorted(categories.items())),
    )


def digests(images: LabelledImages, reading: Reading) -> Iterator[tuple[bytes, int]]:
    """A hash of each image's pixels (BLAKE2b, 16 bytes), and its label.

    Sensitive: as sensitive as the images.
    """
    for _, pixels, labels in OrderedBatches(images, BATCH, reading=reading):
        for image, label in zip(np.ascontiguousarray(pixels), labels.tolist(), strict=True):
            yield hashlib.blake2b(image.tobytes(), digest_size=16).digest(), label
