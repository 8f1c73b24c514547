"""Scores that compare sets of images by the features of the semantic classifier and of Inception. Not private."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from datamodules.sets.image_set import ImageSet
from datamodules.sets.sensitive import SensitiveImages
from evaluation.fid import frechet_distance
from evaluation.inception_scores import Extract, inception_scores
from evaluation.precision_recall import Manifold
from launch.processes.ranks import Ranks
from launch.run.context import Context

CLASSIFIER_FEATURES = "the semantic classifier's features"
INCEPTION_FEATURES = "Inception's features"

Scores = dict[str, dict[str, float | None]]  # by set, then by the name of a field of `ScoreRow`


@dataclass(frozen=True)
class FeatureScores:
    """Scores from features."""

    rows: Scores
    """Scores of each set."""
    precision_features: str
    """Features in which precision and recall are computed, in words."""
    fid_reason: str
    """Why there is no FID; '' if there is one."""


def feature_scores(
    context: Context, extract: Extract | None, sets: dict[str, ImageSet], own: Sequence[str], test: SensitiveImages
) -> FeatureScores:
    """Scores of the sets against the sensitive test images.

    If Inception's weights are available, precision and recall are computed only in its features, and only for the sets
    in `own`. So all numbers of a column use the same features.

    Args:
        extract: extracts the features for the Fréchet distance; None if the run has no classifier.
        sets: the sets by name.
        own: names of the sets with this run's images. Inception scores only these, since it is slow.
        test: sensitive test images.

    Sensitive: the scores have no noise, and the guarantee does not cover them.
    """
    rows: Scores = {name: {} for name in sets}
    real = test.exposed()
    by_inception, reason = scores_by_inception(context, {name: sets[name] for name in own}, real)
    if extract:
        found = scores_by_classifier(context, extract, sets, real, with_precision=not by_inception)
        rows = {name: rows[name] | found[name] for name in sets}
    features = INCEPTION_FEATURES if by_inception else CLASSIFIER_FEATURES
    return FeatureScores({name: rows[name] | by_inception.get(name, {}) for name in sets}, features, reason)


def classifier_features(context: Context, ranks: Ranks) -> Extract:
    """A function that extracts the semantic classifier's features.

    Args:
        ranks: processes that divide the images among them; all must call the function.
    """
    classifier = context.trained_classifier()

    def features(images: ImageSet) -> np.ndarray:
        return classifier.features(torch.from_numpy(np.array(images.images))).numpy()

    return lambda images: ranks.pooled(features, images)


def scores_by_classifier(
    context: Context, extract: Extract, sets: dict[str, ImageSet], test: ImageSet, *, with_precision: bool
) -> Scores:
    """Fréchet distance of each set, and precision and recall if wanted and if there are enough images."""
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
    """FID, precision, recall and Inception Score of each set.

    Returns:
        The scores, and why the first set has no FID ('' if it has one). If a process of the job has no weights: {} and
        the reason.
    """
    path, reason = context.setup.inception
    reasons = [why for why in context.ranks.all_gather(reason) if why]  # another machine may lack the file
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
