"""Sensitive images as a type of their own: only code that is written for them accepts them."""

from __future__ import annotations

from datamodules.sets.image_set import ImageSet


class SensitiveImages:
    """Sensitive images. Not an `ImageSet`: the type checker refuses them wherever public or synthetic images belong.

    The sampler of DP-SGD, the semantic query, the votes of Private Evolution, the scores in `internal/` and the stages
    without a guarantee accept them. `tests/datamodules/sets/test_sensitive.py` lists every module that exposes them.

    Args:
        images: the images, with their labels and the names of their categories.
    """

    def __init__(self, images: ImageSet) -> None:
        self.__images = images

    def __len__(self) -> int:
        return len(self.__images)

    def __repr__(self) -> str:
        return "<SensitiveImages, contents hidden>"

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the categories, public by declaration."""
        return self.__images.class_names

    def exposed(self) -> ImageSet:
        """The images themselves.

        Sensitive: what is computed from them is private only by a mechanism that the ledger has charged.
        """
        return self.__images
