"""Sources of images. Importing this package registers all of them."""

from datamodules.sources import (  # noqa: F401  (each registers itself)
    celeba,
    cifar10,
    digits,
    fashion_mnist,
    folder,
    glyphs,
    imagenet,
    mnist,
    npz,
    table,
)
from datamodules.sources.source import SOURCES, Source

__all__ = ["SOURCES", "Source"]
