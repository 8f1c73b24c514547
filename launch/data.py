"""The sources of a run, with messages that say which of the two they are about."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from configs.errors import UserError
from configs.schema import Experiment
from datamodules.labelled_images import LabelledImages
from datamodules.sources import SOURCES, Source


@contextmanager
def naming(section: str) -> Iterator[None]:
    """Put the section's name before a component's message, which begins with the key within the section."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{section}.{error}") from error


def sensitive_source(config: Experiment) -> Source:
    """The source of the sensitive images; opens none of them."""
    with naming("sensitive"):
        return SOURCES.build(config.sensitive, config.image)


def public_source(config: Experiment) -> Source:
    """The source of the public images; opens none of them."""
    with naming("public"):
        return SOURCES.build(config.public, config.image)


def read(section: str, source: Source, *, test: bool = False, progress: bool = True) -> LabelledImages:
    """The training or test images of a source."""
    with naming(section):
        return source.test(progress=progress) if test else source.train(progress=progress)
