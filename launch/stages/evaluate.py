"""Scores of the synthetic images and of the controls. NOT private: they stay in `internal/`."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import torch

from configs.errors import UserError
from configs.files import atomic_json
from datamodules.image_set import ImageSet
from datamodules.labelled_images import LabelledImages
from datamodules.progress import track
from evaluation.classifiers import classification_accuracy
from evaluation.controls import balanced_sample, public_only_set
from evaluation.fid import FID, fid
from evaluation.frechet import frechet_distance
from evaluation.report import ScoreRow
from launch.context import Context
from launch.release import read_images
from launch.stage import stage
from launch.stages.select import read_selection

LEAST = 2  # test images; a covariance of fewer is none


@stage(
    needs=("synthesize", "select"),
    keys=("evaluate", "sensitive"),
    reads_sensitive=True,
    makes=("internal/scores.json",),
)
def evaluate(context: Context) -> str:
    """Classification accuracy and Fréchet distances against the sensitive test set (PrivImage §4.3).

    SENSITIVE, without noise, not covered by the guarantee; nothing is chosen by these numbers.
    """
    classifier = context.trained_classifier()
    test = context.sensitive_test
    if len(test) < LEAST:
        raise UserError(
            f"sensitive: fewer than {LEAST} test images, so there is nothing to score against. Add some to the test "
            "folder (sensitive.test_root) and give the same command again; the release is finished already."
        )
    reference = classifier.features(torch.from_numpy(np.array(test.images))).numpy()
    sets = training_sets(context)
    inception = inception_distance(context, next(iter(sets.values())), test)
    rows: list[ScoreRow] = []
    for name, images in track(sets.items(), "evaluate", total=len(sets), unit="set", show=context.console.progress):
        features = classifier.features(torch.from_numpy(np.array(images.images))).numpy()
        row = ScoreRow(
            name=name,
            accuracies=accuracies(context, images, test),
            frechet=frechet_distance(features, reference),
            fid=None if rows else inception.value,  # of this run alone: Inception is slow
        )
        rows.append(row)
    scores = {"scores": [asdict(row) for row in rows], "fid_reason": inception.reason}
    atomic_json(context.directory.internal / "scores.json", scores)
    if not context.sensitive_source.public_benchmark:
        return "scores are in internal/ (not shown: they are computed from sensitive images without noise)"
    shown = ", ".join(f"{name.upper()} {value:.1%}" for name, value in rows[0].accuracies.items())
    return f"trained on synthetic, tested on {len(test)} real: {shown}"


def training_sets(context: Context) -> dict[str, ImageSet]:
    """The synthetic images first, then what takes less private access, in equal numbers."""
    synthetic = read_images(context.directory.release / "synthetic.npz")
    sets: dict[str, LabelledImages | None] = {
        "synthetic images (this run)": synthetic,
        "query alone: selected public images, relabelled": read_selection(context),
        "no private access: public categories of the same name": public_only_set(context.public, context.class_names),
    }
    seed = context.config.run.seed
    return {
        name: balanced_sample(images, len(synthetic), seed).in_memory()
        for name, images in sets.items()
        if images is not None
    }


def accuracies(context: Context, images: ImageSet, test: ImageSet) -> dict[str, float]:
    """Accuracy of each classifier trained on `images`."""
    settings = context.config.evaluate
    return classification_accuracy(
        settings.classifiers, images, test, settings.holdout_fraction, context.config.run.seed, context.device
    )


def inception_distance(context: Context, images: ImageSet, test: ImageSet) -> FID:
    """FID of a set, or the reason why there is none."""
    settings = context.config.evaluate
    return fid(images, test, weights=settings.inception_weights, download=settings.download, device=context.device)
