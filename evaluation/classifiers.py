"""Classification accuracy (CA): classifiers trained on synthetic images, tested on real ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

import evaluation.cnn
import evaluation.lenet
import evaluation.linear_and_mlp
import evaluation.residual  # noqa: F401
from configs.errors import UserError
from configs.scoring import LargeTraining
from datamodules.sets.image_set import ImageSet
from evaluation.scoring import SCORERS, Scorer, accuracy


def classification_accuracy(
    names: Sequence[str],
    synthetic: ImageSet,
    test: ImageSet,
    holdout_fraction: float,
    seed: int,
    device: torch.device | str = "cpu",
    training: LargeTraining | None = None,
    progress: bool = False,
) -> dict[str, float]:
    """Accuracy in [0, 1] on `test` of each named classifier trained on `synthetic` (PrivImage §4.3).

    Everything is chosen on a random `holdout_fraction` of the synthetic images; `test` is used once, at the end.
    training: how DPImageBench's networks are trained. progress: whether to draw bars. Not private where `test` is
    sensitive. Empty where fewer than two categories leave nothing to tell apart. Raises UserError for a name that is
    not registered and for too few images.
    """
    if len(np.unique(synthetic.labels)) < 2:
        return {}
    scorers = {name: scorer(name, training) for name in names}
    train, holdout = split(synthetic, holdout_fraction, seed)
    device = torch.device(device)
    return {
        name: accuracy(found.fit(train, holdout, seed, device, progress=progress), test)
        for name, found in scorers.items()
    }


def scorer(name: str, training: LargeTraining | None = None) -> Scorer:
    """A classifier by its name. training: of DPImageBench's networks; each has its defaults without."""
    config = SCORERS.config(name)()
    given = getattr(training, name, None)
    return SCORERS.build(config if given is None else replace(config, training=given))


def split(images: ImageSet, holdout_fraction: float, seed: int) -> tuple[ImageSet, ImageSet]:
    """Two disjoint random parts of a set, for training and for choosing. Raises UserError where it is too small."""
    held = max(1, round(holdout_fraction * len(images)))
    order = np.random.default_rng(seed).permutation(len(images))
    train, holdout = images.subset(np.sort(order[held:])), images.subset(np.sort(order[:held]))
    if len(np.unique(train.labels)) < 2:
        raise UserError(
            f"synthesize.count: {len(images)} synthetic images are too few to train a classifier after "
            f"{held} are held out. Draw more images or lower evaluate.holdout_fraction."
        )
    return train, holdout
