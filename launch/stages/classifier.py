"""Training of the semantic classifier, the query's function, on the public set."""

from __future__ import annotations

import warnings

import numpy as np

from configs.files import atomic_json
from datamodules.batches.public import OrderedBatches, split
from datamodules.sets.image_set import LabelledImages, Reading
from launch.run.context import Context
from launch.run.stage import stage
from launch.stages.fitting import fit_public, reading
from lightning_modules.classifier import SemanticClassifier
from lightning_modules.weights import save_weights

BATCH = 1024  # validation images at once
LITTLE = 1.2  # times the accuracy of guessing
LEARNT_LITTLE = (
    "the semantic classifier knows its public categories hardly better than guessing: a query, which is not charged "
    "yet, would select by chance, and scores in its features would say nothing. Stop here and raise classifier.steps, "
    "or give other public images"
)


@stage(keys=("public", "classifier"), shared=True, makes=("stages/classifier/classifier.safetensors",))
def classifier(context: Context) -> str:
    """Train the semantic classifier on the public categories (PrivImage §3.2). Touches no sensitive data."""
    settings = context.config.classifier
    train, validation = split(context.public, settings.validation_fraction, context.config.run.seed)
    module = context.new_classifier()
    module = fit_public(
        context,
        module,
        module.network,
        train,
        stage="classifier",
        settings=settings,
        validation=validation,
        validate_every=min(settings.validate_every, settings.steps),
    )
    accuracy = accuracy_of(module, validation, reading(context.config.launch))
    categories = len(train.class_names)
    folder, found = context.folder("classifier"), {"accuracy": accuracy, "categories": categories}
    if context.ranks.first:
        save_weights(module.network, folder / "classifier.safetensors")
        atomic_json(folder / "validation.json", found)
        if accuracy < LITTLE * max(1 / categories, largest_share(validation)):
            warnings.warn(LEARNT_LITTLE, stacklevel=2)
    return f"{categories} public categories, validation accuracy {accuracy:.1%} (guessing {1 / categories:.1%})"


def largest_share(images: LabelledImages) -> float:
    """The share of the largest category."""
    return float(np.bincount(images.labels).max()) / len(images)


def accuracy_of(module: SemanticClassifier, images: LabelledImages, reading: Reading) -> float:
    """The share of public images whose most likely category is their own, in [0, 1]."""
    batches = OrderedBatches(images, BATCH, reading=reading)
    return sum(int((module.topk(here, 1)[:, 0] == labels).sum()) for _, here, labels in batches) / len(images)
