"""t-SNE: a map of synthetic and real images by a classifier's features (PrivImage Figure 4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from sklearn.manifold import TSNE

from evaluation.figures import INK, inline_svg, room_for

PERPLEXITY = 30.0
STEPS = 1000  # of the optimisation
SHOWN_CATEGORIES = 20
MARKERS = (("o", 3.4, 0.55), ("x", 3.8, 0.9))  # for each kind of image: shape, size, opacity


@dataclass(frozen=True, eq=False)
class FeatureMap:
    """Positions of images in the plane. As sensitive as the images."""

    places: np.ndarray
    """float64 [N, 2]."""
    kinds: np.ndarray
    """[N], indices into `kind_names`."""
    labels: np.ndarray
    """[N], indices into `class_names`."""
    kind_names: Sequence[str]
    """One or two kinds of image, such as synthetic and real."""
    class_names: Sequence[str]
    """Names of the categories."""


def embed(features: np.ndarray, seed: int) -> np.ndarray | None:
    """Two dimensions in which similar images stay close.

    Args:
        features: [N, D], of all images together.
        seed: of the optimisation, >= 0.

    Returns:
        float64 [N, 2]; None if there are fewer than four images or all features are equal.

    Source: van der Maaten and Hinton 2008.

    Sensitive: the result is as sensitive as the features.
    """
    features = np.asarray(features, dtype=np.float64)
    if len(features) < 4 or not np.ptp(features, axis=0).any():
        return None
    perplexity = min(PERPLEXITY, (len(features) - 1) / 3)
    start = "pca" if features.shape[1] > 1 else "random"
    places = TSNE(perplexity=perplexity, max_iter=STEPS, init=start, random_state=seed).fit_transform(features)
    return places.astype(np.float64)


def feature_map_svg(shown: FeatureMap, width: float = 8.2, height: float = 5.0) -> str:
    """The map as an `<svg>` element: a colour per category (the first twenty) and a marker per kind of image.

    Args:
        width: in inches.
        height: in inches.
    """
    names = shown.class_names[:SHOWN_CATEGORIES]
    colours = matplotlib.colormaps["tab10" if len(names) <= 10 else "tab20"](range(len(names)))

    def draw(axes: Axes) -> None:
        for label, name in enumerate(names):
            for kind, (marker, size, opacity) in enumerate(MARKERS[: len(shown.kind_names)]):
                x, y = shown.places[(shown.labels == label) & (shown.kinds == kind)].T
                title = "_" if kind else name
                axes.plot(x, y, marker, color=colours[label], markersize=size, alpha=opacity, label=title)
        for kind_name, (marker, size, _) in zip(shown.kind_names, MARKERS, strict=False):
            axes.plot([], [], marker, color=INK, markersize=size, label=kind_name)
        axes.set_axis_off()
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5), markerscale=1.6)

    right = 0.6 + room_for([*names, *shown.kind_names], width)
    return inline_svg("t-SNE", draw, width, height, (0.1, 0.1, right, 0.1))
