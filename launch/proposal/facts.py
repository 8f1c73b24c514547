"""What `privimage init` knows of a data set: all of it is public by declaration."""

from __future__ import annotations

from dataclasses import dataclass

GLYPH_CATEGORIES = 129
"""Categories of the public source `glyphs`."""


@dataclass(frozen=True)
class Facts:
    """What the settings are chosen by."""

    records: int
    """n, training images."""
    categories: int
    """Sensitive categories."""
    resolution: int
    """Height and width of every image, in pixels."""
    channels: int
    """1: gray, 3: colour."""
    epsilon: float
    """The budget."""
    minutes: float
    """What a run may take on this machine."""
    public_categories: int = GLYPH_CATEGORIES
    """Categories of the public images."""
    gpu: bool = False
    """Whether the run will have a GPU."""

    @property
    def per_category(self) -> float:
        """Training images of a category, on average."""
        return self.records / self.categories

    @property
    def crowded(self) -> bool:
        """Whether there are fewer public categories than one for each sensitive category."""
        return self.public_categories < self.categories


@dataclass(frozen=True)
class Pace:
    """Seconds of this machine for one image."""

    classifier: float
    """Training the semantic classifier."""
    pretrain: float
    """Training the generator on public images."""
    finetune: float
    """Training it by DP-SGD."""
    synthesize: float
    """Sampling."""
