"""Training of the semantic classifier, the query's function, on the public set."""

from __future__ import annotations

from configs.files import atomic_json
from datamodules.batches.public import OrderedBatches, split
from datamodules.sets.image_set import LabelledImages, Reading
from launch.run.context import Context
from launch.run.stage import stage
from launch.stages.fitting import fit_public, reading
from lightning_modules.classifier import SemanticClassifier
from lightning_modules.weights import save_weights

BATCH = 1024  # validation images at once


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
    folder, found = context.folder("classifier"), {"accuracy": accuracy, "categories": len(train.class_names)}
    if context.ranks.first:
        save_weights(module.network, folder / "classifier.safetensors")
        atomic_json(folder / "validation.json", found)
    return f"{len(train.class_names)} public categories, validation accuracy {accuracy:.1%}"


def accuracy_of(module: SemanticClassifier, images: LabelledImages, reading: Reading) -> float:
    """The share of public images whose most likely category is their own, in [0, 1]."""
    batches = OrderedBatches(images, BATCH, reading=reading)
    return sum(int((module.topk(here, 1)[:, 0] == labels).sum()) for _, here, labels in batches) / len(images)
