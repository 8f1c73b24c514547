"""Classification accuracy (CA): classifiers trained on synthetic images, tested on real ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from configs.errors import UserError
from configs.scoring import LargeTraining
from datamodules.sets.image_set import ImageSet
from evaluation import cnn, dpimagebench, lenet, linear_and_mlp  # noqa: F401  (each registers itself)
from evaluation.scorer import SCORERS, Scorer, accuracy


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
    """Accuracy on `test` of each named classifier trained on `synthetic`.

    Everything is chosen on a random `holdout_fraction` of the synthetic images. `test` is used once, at the end.

    Args:
        names: of registered classifiers.
        synthetic: images to learn from.
        test: images to score on.
        holdout_fraction: of the synthetic images, in (0, 1).
        seed: of the split and of training, >= 0.
        device: where networks are trained.
        training: how DPImageBench's networks are trained (default: the defaults of each).
        progress: whether to draw progress bars.

    Returns:
        By name, the share of `test` that is classified correctly, in [0, 1]. Empty if the synthetic images are of fewer
        than two categories.

    Raises:
        UserError: if a name is not registered, or there are too few synthetic images.

    Source: PrivImage §4.3.

    Sensitive: not private if `test` is sensitive.
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
    """The classifier with this name; `training` says how DPImageBench's networks are trained (default: their own keys).

    Raises:
        UserError: if the name is not registered.
    """
    config = SCORERS.config(name)()
    given = getattr(training, name, None)
    return SCORERS.build(config if given is None else replace(config, training=given))


def split(images: ImageSet, holdout_fraction: float, seed: int) -> tuple[ImageSet, ImageSet]:
    """Two disjoint random parts of a set: for training, and to hold out.

    Args:
        holdout_fraction: share of the second part, in (0, 1); it has at least one image.
        seed: of the draw, >= 0.

    Raises:
        UserError: if fewer than two categories are left for training.
    """
    held = max(1, round(holdout_fraction * len(images)))
    order = np.random.default_rng(seed).permutation(len(images))
    train, holdout = images.subset(np.sort(order[held:])), images.subset(np.sort(order[:held]))
    if len(np.unique(train.labels)) < 2:
        raise UserError(
            f"synthesize.count: {len(images)} synthetic images are too few to train a classifier after "
            f"{held} are held out. Draw more images or lower evaluate.holdout_fraction."
        )
    return train, holdout
