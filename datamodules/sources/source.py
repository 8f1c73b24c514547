"""What a source of images is, and the registry of sources."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from configs.components.sources import SOURCE_NAMES
from configs.registry import Registry
from datamodules.sets.image_set import LabelledImages


class Declared(Protocol):
    """What is public of a set of images by declaration: all that a stage gets of the sensitive source."""

    public_benchmark: bool
    """Declares that the images are public, so that scores on them may be shown."""
    class_names: tuple[str, ...]
    """Names of the categories, distinct."""

    def size(self) -> int:
        """Number of training records, public by declaration; opens no image."""
        ...


class Source(Declared, Protocol):
    """Images from one place, built by `SOURCES.build(config, image)` with `image` a `configs.schema.Image`.

    How images are brought to that resolution and number of channels is fixed and never fitted to them. The message of a
    UserError begins with its key (`root: ...`); the caller knows whether this is the sensitive or the public source.
    """

    folders: tuple[Path, ...]
    """The folders of class folders that the images come from; empty for a source without class folders."""

    def train(self, *, progress: bool = True) -> LabelledImages:
        """All training images."""
        ...

    def test(self, *, progress: bool = True) -> LabelledImages:
        """All test images, disjoint from the training images."""
        ...

    def paths(self, *, test: bool) -> Iterable[Path]:
        """The files that the training or the test images are read from; opens none of them and resolves no link.

        Empty if the images are inside a package or generated. For a store: the store itself, and the files that it was
        made from if they still exist.
        """
        ...


class Semantics(NamedTuple):
    """What the training images of a set show."""

    names: tuple[str, ...]
    """What can be seen."""
    frequencies: np.ndarray
    """How often each is seen: float64 [names], on any scale."""


@runtime_checkable
class Described(Protocol):
    """A source that knows more about its images than their category."""

    def semantics(self) -> Semantics:
        """The semantics of the training images. NOT PRIVATE: counted without noise, only for `internal/`."""
        ...


@runtime_checkable
class ClassFoldered(Protocol):
    """A source whose categories are folders, which may be empty."""

    def empty_categories(self) -> list[str]:
        """The categories without any image in either split.

        Sensitive: for a sensitive source, the answer says something about its records.
        """
        ...


SOURCES: Registry[Source] = Registry(SOURCE_NAMES)
