"""What a source of images is, and the registry of sources."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from configs.components.sources import SOURCE_NAMES
from configs.registry import Registry
from datamodules.sets.image_set import LabelledImages


class Source(Protocol):
    """Images from one place, built by `SOURCES.build(config, image)` with `image` a `configs.schema.Image`.

    Whatever brings the images to that resolution and number of channels is fixed and never fitted to them. Messages of
    a UserError begin with the key they are about (`root: ...`); the caller knows whether that is the sensitive or the
    public source. `public_benchmark` declares that the images are public, so that scores on them may be shown.
    `folders`: the trees of class folders that the images come from, none for a source of another kind.
    """

    public_benchmark: bool
    folders: tuple[Path, ...]
    class_names: tuple[str, ...]

    def size(self) -> int:
        """Number of training records, public by declaration; opens no image."""
        ...

    def train(self, *, progress: bool = True) -> LabelledImages:
        """All training images."""
        ...

    def test(self, *, progress: bool = True) -> LabelledImages:
        """All test images, disjoint from the training images."""
        ...

    def paths(self, *, test: bool) -> Iterable[Path]:
        """The files that the training or the test images are read from, links as they are; opens none of them.

        None for images that are inside a package, or made. A store's are it and, where they are still there, the files
        it was made from.
        """
        ...


class Semantics(NamedTuple):
    """What the training images of a set show: names, and how often each is seen, float64 [names] of any scale."""

    names: tuple[str, ...]
    frequencies: np.ndarray


@runtime_checkable
class Described(Protocol):
    """A source that knows more of its images than their category."""

    def semantics(self) -> Semantics:
        """The semantics of the training images. NOT private: counted without noise, for `internal/` alone."""
        ...


@runtime_checkable
class ClassFoldered(Protocol):
    """A source whose categories are folders, which may be empty."""

    def empty_categories(self) -> list[str]:
        """The categories without any image, of either split. Of sensitive images: SENSITIVE."""
        ...


SOURCES: Registry[Source] = Registry(SOURCE_NAMES)
