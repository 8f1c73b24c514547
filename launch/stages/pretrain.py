"""Pre-training of the generator on the selected public images."""

from __future__ import annotations

from typing import Any

from launch.context import Context, save_weights
from launch.fitting import fit_public
from launch.stage import stage
from launch.stages.select import read_selection
from lightning_modules.public_training import PublicTraining


@stage(needs=("select",), keys=("generator", "pretrain"), shared=True, makes=("stages/pretrain/model.safetensors",))
def pretrain(context: Context) -> str:
    """Train the generator on the selection (PrivImage §3.4). Touches no sensitive data."""
    settings, seed = context.config.pretrain, context.config.run.seed
    images = read_selection(context)
    module = PublicTraining(context.generator(), settings, seed=seed)
    module = fit_public(context, module, module.generator.trainable, images, stage="pretrain", settings=settings)
    averaged: Any = module.averaged()
    if context.ranks.first:
        save_weights(averaged, context.folder("pretrain") / "model.safetensors")
    parameters = sum(value.numel() for value in averaged.parameters())
    return f"{settings.steps} steps, {parameters / 1e6:.2f} M parameters"
