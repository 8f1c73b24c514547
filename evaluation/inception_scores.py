"""All scores in Inception's features, from one pass over the images: FID, precision and recall, Inception Score."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from datamodules.sets.image_set import ImageSet
from evaluation.fid import FID, Normal, fid
from evaluation.inception import class_probabilities, inception_features, load_class_weights, load_inception
from evaluation.inception_score import inception_score
from evaluation.precision_recall import Manifold

Extract = Callable[[ImageSet], np.ndarray]


@dataclass(frozen=True, kw_only=True)
class InceptionScores:
    """Scores of one set; precision and recall are None where there are too few images for their neighbours."""

    fid: FID
    precision: float | None
    recall: float | None
    inception_score: float


def inception_scores(
    sets: Sequence[ImageSet],
    real: ImageSet,
    weights: Path,
    *,
    neighbours: int,
    device: torch.device | str = "cpu",
    pooled: Callable[[Extract, ImageSet], np.ndarray] = lambda extract, images: extract(images),
) -> list[InceptionScores]:
    """Scores of each set against the real images; not private where `real` is sensitive.

    weights: as `find_weights` found them; neighbours: of precision and recall. pooled: applies the network to all
    images of a set, on several processes perhaps.
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
