"""Loads every component, and builds what a configuration names, with messages that say which key is meant."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from configs.errors import UserError
from configs.files import atomic_write
from configs.schema import Experiment
from datamodules.reading.files_error import FilesError
from datamodules.sets.image_set import LabelledImages
from datamodules.sets.sensitive import SensitiveImages
from datamodules.sources import SOURCES, Source
from lightning_modules.classifier import SemanticClassifier
from lightning_modules.registries import LEARNERS

REGISTERING = (
    "datamodules.sources",
    "evaluation.classifiers",
    "evolution.apis",
    "launch.tracking",
    "lightning_modules",
    "lightning_modules.dp_sgd",
)
"""Packages whose import registers components."""


def load() -> None:
    """Import every module that registers a component. Call it before building one; a second call does nothing."""
    for package in REGISTERING:
        import_module(package)


@contextmanager
def naming(section: str) -> Iterator[None]:
    """Put the key of a component's UserError under the section of the component."""
    try:
        yield
    except UserError as error:
        raise error.under(section) from error


@contextmanager
def discreet(source: Source, names_to: Path | None = None) -> Iterator[None]:
    """Keep the names of sensitive files out of messages, because the logs of jobs contain those.

    Files of public benchmarks are named.

    Args:
        source: the source of the files.
        names_to: file to which the names are written instead; without one, only a person at a terminal sees them.

    Sensitive: what it writes to `names_to`.
    """
    try:
        yield
    except FilesError as error:
        if source.public_benchmark or (names_to is None and sys.stderr.isatty()):
            raise
        if names_to is None:
            raise UserError(error.unnamed("On a terminal this command says which.")) from None
        lines = error.lines().encode("utf-8", "surrogateescape")
        atomic_write(names_to, lambda file: file.write(lines), mode=0o600)
        raise UserError(error.unnamed(f"'{names_to}' says which, or some of them.")) from None


@dataclass(frozen=True)
class Sources:
    """Where the images of a run come from. Building them opens no image."""

    sensitive: Source
    public: Source

    @classmethod
    def of(cls, config: Experiment) -> Sources:
        """The sources that a configuration names."""
        return cls(sensitive_source(config), public_source(config))


def sensitive_source(config: Experiment) -> Source:
    """The source of the sensitive images; opens none of them."""
    with naming("sensitive"):
        return SOURCES.build(config.sensitive, config.image)


def public_source(config: Experiment) -> Source:
    """The source of the public images; opens none of them."""
    with naming("public"):
        return SOURCES.build(config.public, config.image)


def read(section: str, source: Source, *, test: bool = False, progress: bool = True) -> LabelledImages:
    """The training or test images of a source. UserError if there are no public images to learn from."""
    with naming(section):
        images = images_of(source, test=test, progress=progress)
    if section == "public" and not len(images):
        raise UserError("public: no image is left to learn from. Give a set with readable images.")
    return images


def images_of(source: Source, *, test: bool, progress: bool) -> LabelledImages:
    """The training or test images of a source, with messages about its own keys."""
    return source.test(progress=progress) if test else source.train(progress=progress)


def read_sensitive(source: Source, names_to: Path, *, test: bool = False, progress: bool = True) -> SensitiveImages:
    """The sensitive training or test images, in memory.

    Args:
        source: their source.
        names_to: see `discreet`.
        test: the test images instead of the training images.
        progress: whether to show a progress bar.

    Raises:
        UserError: if files cannot be read.
    """
    with discreet(source, names_to), naming("sensitive"):
        return SensitiveImages(images_of(source, test=test, progress=progress).in_memory())


def new_generator(config: Experiment, classes: int) -> Any:
    """A generator with the initial weights that the run's seed gives."""
    torch.manual_seed(config.run.seed)
    with naming("generator"):
        return LEARNERS.build(config.generator, image=config.image, classes=classes)


def new_classifier(config: Experiment, classes: int) -> SemanticClassifier:
    """A semantic classifier with the initial weights that the run's seed gives."""
    torch.manual_seed(config.run.seed)
    with naming("classifier"):
        return SemanticClassifier(config.classifier.network, config.classifier, config.image, classes)
