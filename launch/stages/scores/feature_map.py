"""The report's map of synthetic and real images by their features. Not private."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from datamodules.sets.image_set import ImageSet, balanced_sample
from datamodules.sets.sensitive import SensitiveImages
from evaluation.feature_map import FeatureMap, embed
from launch.run.context import Context

MAPPED = 500  # images of each kind, at most


def feature_map(
    context: Context, extract: Callable[[ImageSet], np.ndarray] | None, synthetic: ImageSet, test: SensitiveImages
) -> FeatureMap | None:
    """t-SNE of equally many synthetic and sensitive test images (PrivImage Figure 4).

    Args:
        extract: from a set of N images to its features [N, F]; None if the run has no classifier.
        synthetic: synthetic images.
        test: sensitive test images.

    Returns:
        The map; None if there is nothing to show, or `evaluate.tsne` is off.

    Sensitive: shows sensitive test images as points, without noise.
    """
    if extract is None or not context.config.evaluate.tsne:
        return None
    seed, count = context.config.run.seed, min(MAPPED, len(synthetic), len(test))
    sets = [balanced_sample(images, count, seed).in_memory() for images in (synthetic, test.exposed())]
    places = embed(np.concatenate([extract(images) for images in sets]), seed)
    if places is None:
        return None
    return FeatureMap(
        places=places,
        kinds=np.repeat([0, 1], [len(images) for images in sets]),
        labels=np.concatenate([images.labels for images in sets]),
        kind_names=("synthetic", "real"),
        class_names=context.class_names,
    )
