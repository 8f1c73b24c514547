"""Training of the semantic query function on the public set."""

from __future__ import annotations

import numpy as np
import torch

from configs.files import atomic_json
from datamodules.public import split
from launch.context import Context, save_weights
from launch.fitting import fit_public
from launch.stage import stage


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
    best = module.topk(torch.from_numpy(np.array(validation.images)), 1)[:, 0]
    accuracy = float((best.numpy() == validation.labels).mean())
    folder, found = context.folder("classifier"), {"accuracy": accuracy, "categories": len(train.class_names)}
    if context.ranks.first:
        save_weights(module.network, folder / "classifier.safetensors")
        atomic_json(folder / "validation.json", found)
    return f"{len(train.class_names)} public categories, validation accuracy {accuracy:.1%}"
