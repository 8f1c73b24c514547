"""All scores that use Inception's features, from one pass over the images: FID, precision, recall, Inception Score."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from datamodules.sets.image_set import ImageSet
from evaluation.fid import FID, Normal, fid, inception_score
from evaluation.inception import class_probabilities, inception_features, load_class_weights, load_inception
from evaluation.precision_recall import Manifold

Extract = Callable[[ImageSet], np.ndarray]  # from N images to features [N, F]; every process of a job calls it
"""Features [N, D] of the images of a set."""


@dataclass(frozen=True, kw_only=True)
class InceptionScores:
    """Scores of one set against the real images."""

    fid: FID
    """Lower is better."""
    precision: float | None
    """In [0, 1]; None if the set or the real images are too few for `neighbours`."""
    recall: float | None
    """In [0, 1]; None if `precision` is."""
    inception_score: float
    """>= 1, higher is better; does not use the real images."""


def inception_scores(
    sets: Sequence[ImageSet],
    real: ImageSet,
    weights: Path,
    *,
    neighbours: int,
    device: torch.device | str = "cpu",
    pooled: Callable[[Extract, ImageSet], np.ndarray] = lambda extract, images: extract(images),
) -> list[InceptionScores]:
    """Scores of each set against the real images.

    Args:
        sets: images to score.
        real: images to compare with.
        weights: file from `find_weights`.
        neighbours: k of precision and recall, >= 1.
        device: where features and distances are computed.
        pooled: applies a feature function to all images of a set, possibly in several processes.

    Sensitive: not private if `real` is sensitive.
    """
    network, class_weights = load_inception(weights).to(device), load_class_weights(weights)

    def features_of(images: ImageSet) -> np.ndarray:
        return pooled(lambda part: inception_features(network, part, device), images)

    reference = features_of(real)
    normal = Normal.of(reference)
    manifold = Manifold.of(reference, neighbours, device) if len(real) > neighbours else None

    def scores_of(images: ImageSet) -> InceptionScores:
        features = features_of(images)
        own = Manifold.of(features, neighbours, device) if manifold and len(images) > neighbours else None
        return InceptionScores(
            fid=fid(Normal.of(features), normal),
            precision=manifold.share(features) if own and manifold else None,
            recall=own.share(reference) if own else None,
            inception_score=inception_score(class_probabilities(features, class_weights)),
        )

    return [scores_of(images) for images in sets]
