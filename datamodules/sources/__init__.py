"""Sources of images. Importing this package registers every source."""

from datamodules.sources import digits, folder, glyphs, imagenet, mnist  # noqa: F401  (each registers itself)
from datamodules.sources.source import SOURCES, Source

__all__ = ["SOURCES", "Source"]
