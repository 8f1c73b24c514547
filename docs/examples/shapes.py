"""A simulator of your own: discs, squares and triangles of any size, place and shade.

Used by `evolution.api.path=docs/examples/shapes.py:Shapes`; docs/evolution.md explains it. To look at what it draws,
a row for each degree of variation:

    python docs/examples/shapes.py shapes.png
"""

import sys

import numpy as np
from PIL import Image as Picture

from configs.schema import Image
from evolution.samples import Samples

KINDS = ("disc", "square", "triangle")
# kind, x, y, radius (over the frame), shade; a row of these numbers is what a sample carries
LOW = np.array([0.0, 0.3, 0.3, 0.15, 0.4])
HIGH = np.array([2.999, 0.7, 0.7, 0.4, 1.0])


class Shapes:
    """`image` and `class_names` are the run's; `soft` is a setting of this simulator."""

    def __init__(self, image: Image, class_names: tuple[str, ...], soft: float = 0.03) -> None:
        self.image = image
        self.soft = soft

    def random(self, category: str, count: int, rng: np.random.Generator) -> Samples:
        """Every number anywhere in its range, whatever the category: the votes tell which shapes belong to it."""
        return self.drawn(rng.uniform(LOW, HIGH, (count, len(LOW))))

    def vary(self, samples: Samples, degree: float, rng: np.random.Generator) -> Samples:
        """Every number moved a little; the kind changes only now and then."""
        moved = samples.parameters + degree * rng.normal(0, 0.3, samples.parameters.shape) * (HIGH - LOW)
        other = rng.random(len(moved)) < 0.2 * degree
        moved[:, 0] = np.where(other, rng.uniform(LOW[0], HIGH[0], len(moved)), samples.parameters[:, 0])
        return self.drawn(np.clip(moved, LOW, HIGH))

    def drawn(self, rows: np.ndarray) -> Samples:
        """Images uint8 [N, C, H, W] of these parameters, float64 [N, 5]."""
        side = self.image.resolution
        y, x = (np.mgrid[:side, :side] + 0.5) / side
        kind, cx, cy, radius, shade = rows.T[:, :, None, None]
        dx, dy = np.abs(x - cx), y - cy
        inside = np.select(
            [kind < 1, kind < 2],
            [radius - np.hypot(dx, dy), radius - np.maximum(dx, np.abs(dy))],
            default=np.minimum(radius - dy, (dy + radius) / 2 - dx),
        )
        gray = np.clip(0.5 + inside / self.soft, 0, 1) * shade
        images = (255 * gray).astype(np.uint8)[:, None]
        return Samples(np.repeat(images, self.image.channels, axis=1), rows)


def contact_sheet(count: int = 10, degrees: tuple[float, ...] = (0.1, 0.3, 1.0)) -> np.ndarray:
    """uint8 [rows * 32, count * 32]: random samples, then a row of their variations for each degree."""
    shapes = Shapes(Image(resolution=32, channels=1), class_names=("any",))
    rng = np.random.default_rng(0)
    first = shapes.random("any", count, rng)
    rows = [first, *(shapes.vary(first, degree, rng) for degree in degrees)]
    return np.concatenate([np.concatenate(list(samples.images[:, 0]), axis=1) for samples in rows])


if __name__ == "__main__":
    Picture.fromarray(contact_sheet()).save(sys.argv[1])
