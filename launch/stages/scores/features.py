"""Scores that compare sets of images by features, the semantic classifier's and Inception's. NOT private."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from datamodules.sets.image_set import ImageSet
from evaluation.frechet import frechet_distance
from evaluation.inception_scores import inception_scores
from evaluation.precision_recall import Manifold
from launch.processes.ranks import Ranks
from launch.run.context import Context

CLASSIFIER_FEATURES = "the semantic classifier's features"
INCEPTION_FEATURES = "Inception's features"

Extract = Callable[[ImageSet], np.ndarray]  # features of a set, [N, F]; to be called by every process of a job
Scores = dict[str, dict[str, float | None]]  # by set, by the name of a field of `ScoreRow`


@dataclass(frozen=True)
class FeatureScores:
    """rows: scores of each set; precision_features: what precision and recall are taken in; fid_reason: why no FID."""

    rows: Scores
    precision_features: str
    fid_reason: str


def feature_scores(
    context: Context, extract: Extract | None, sets: dict[str, ImageSet], own: Sequence[str], test: ImageSet
) -> FeatureScores:
    """Scores of the sets against the sensitive test images; SENSITIVE, not covered by the guarantee.

    extract: the features of Fréchet distance, None where a run has no classifier. own: the sets that Inception is asked
    about where its weights are given: of this run's images alone, for it is slow. Precision and recall are then of its
    features and of these sets alone, so that no two numbers of a column are of different features.
    """
    rows: Scores = {name: {} for name in sets}
    by_inception, reason = scores_by_inception(context, {name: sets[name] for name in own}, test)
    if extract:
        found = scores_by_classifier(context, extract, sets, test, with_precision=not by_inception)
        rows = {name: rows[name] | found[name] for name in sets}
    features = INCEPTION_FEATURES if by_inception else CLASSIFIER_FEATURES
    return FeatureScores({name: rows[name] | by_inception.get(name, {}) for name in sets}, features, reason)


def classifier_features(context: Context, ranks: Ranks) -> Extract:
    """How to extract the semantic classifier's features; shared out among `ranks`, all of which must then ask."""
    classifier = context.trained_classifier()

    def features(images: ImageSet) -> np.ndarray:
        return classifier.features(torch.from_numpy(np.array(images.images))).numpy()

    return lambda images: ranks.pooled(features, images)


def scores_by_classifier(
    context: Context, extract: Extract, sets: dict[str, ImageSet], test: ImageSet, *, with_precision: bool
) -> Scores:
    """Fréchet distance of each set, and precision and recall if asked for and there are images enough."""
    neighbours, device, reference = context.config.evaluate.neighbours, context.device, extract(test)
    manifold = Manifold.of(reference, neighbours, device) if with_precision and len(test) > neighbours else None
    rows: Scores = {}
    for name, images in sets.items():
        features = extract(images)
        rows[name] = {"frechet": frechet_distance(features, reference)}
        if manifold and len(images) > neighbours:
            recall = Manifold.of(features, neighbours, device).share(reference)
            rows[name] |= {"precision": manifold.share(features), "recall": recall}
    return rows


def scores_by_inception(context: Context, sets: dict[str, ImageSet], test: ImageSet) -> tuple[Scores, str]:
    """FID, precision, recall and Inception Score of each set, and why the first one has no FID ('' where it has).

    Nothing, and the reason, where a process of the job has no weights.
    """
    path, reason = context.setup.inception
    reasons = [why for why in context.ranks.all_gather(reason) if why]  # a machine of its own may lack the file
    if path is None or reasons:
        return {}, reasons[0]
    found = inception_scores(
        list(sets.values()),
        test,
        path,
        neighbours=context.config.evaluate.neighbours,
        device=context.device,
        pooled=context.ranks.pooled,
    )
    rows: Scores = {
        name: {
            "fid": scores.fid.value,
            "precision": scores.precision,
            "recall": scores.recall,
            "inception_score": scores.inception_score,
        }
        for name, scores in zip(sets, found, strict=True)
    }
    return rows, found[0].fid.reason
