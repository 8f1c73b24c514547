"""Which sensitive images are among the public ones, by their pixels. For the owner of the images alone: NOT private."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from configs.schema import Experiment
from datamodules.batches.public import OrderedBatches
from datamodules.sets.image_set import LabelledImages, Reading
from launch.components import discreet, images_of, naming, public_source, read, sensitive_source

BATCH = 1024  # images at once
NOTICE = (
    "NOT PRIVATE: the sensitive images were read to count this, without noise, and no guarantee covers it. Keep it "
    "with the images. Copies that were encoded anew with losses, turned or cut otherwise are not found."
)


@dataclass(frozen=True)
class Overlap:
    """What two sets have in common. NOT private.

    found, of: by split of the sensitive set, how many of how many images have the pixels of a public image. categories:
    how many public images of each category have the pixels of a sensitive one.
    """

    found: dict[str, int]
    of: dict[str, int]
    categories: dict[str, int]

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "private": False, "notice": NOTICE}

    def lines(self) -> list[str]:
        """The same for a person."""
        counts = " and ".join(f"{self.found[split]} of {self.of[split]} {split} images" for split in self.found)
        lines = [f"overlap: {counts} have the pixels of a public image"]
        if self.categories:
            named = ", ".join(f"'{name}' ({count})" for name, count in self.categories.items())
            lines.append(f"in the public categories {named}: take them out before a run, nothing protects them there")
        return [*lines, NOTICE]


def overlap(config: Experiment, *, progress: bool = True) -> Overlap:
    """Compare every sensitive with every public image, both splits of both, as the run reads them. SENSITIVE.

    Two images are the same where all pixels are, at the resolution of the run. Copies that were encoded with losses,
    turned or cut otherwise are not found. Nothing is written; what is returned is without noise and not covered by any
    guarantee.
    """
    reading = Reading(config.launch.workers, config.launch.reader)
    source = sensitive_source(config)
    with discreet(source), naming("sensitive"):
        sensitive = {
            name: [digest for digest, _ in digests(images_of(source, test=test, progress=progress), reading)]
            for name, test in (("training", False), ("test", True))
        }
    known = {digest for split in sensitive.values() for digest in split}
    shared, categories, source = set[bytes](), Counter[str](), public_source(config)
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
    """A hash of each image's pixels, and its label. As sensitive as the images."""
    for _, pixels, labels in OrderedBatches(images, BATCH, reading=reading):
        for image, label in zip(np.ascontiguousarray(pixels), labels.tolist(), strict=True):
            yield hashlib.blake2b(image.tobytes(), digest_size=16).digest(), label
