"""Pre-training of the generator on public images."""

from __future__ import annotations

from typing import Any

from launch.context import Context, load_weights, save_weights
from launch.fitting import fit_public
from launch.guarantee import may_show
from launch.stage import stage
from launch.stages.select import read_selection
from lightning_modules.public_training import PublicTraining
from lightning_modules.transfer import transfer


@stage(needs=("select",), keys=("generator", "pretrain"), shared=True, makes=("stages/pretrain/model.safetensors",))
def pretrain(context: Context) -> str:
    """Train the generator on the selection (PrivImage §3.4), with its categories. Touches no sensitive data."""
    settings, seed = context.config.pretrain, context.config.run.seed
    images = read_selection(context)
    module = PublicTraining(context.generator(len(images.class_names)), settings, seed=seed)
    module = fit_public(
        context,
        module,
        module.generator.trainable,
        images,
        stage="pretrain",
        settings=settings,
        show_loss=may_show(context),
    )
    averaged: Any = module.averaged()
    if context.ranks.first:
        save_weights(averaged, context.folder("pretrain") / "model.safetensors")
    parameters = sum(value.numel() for value in averaged.parameters())
    return f"{settings.steps} steps, {parameters / 1e6:.2f} M parameters"


def pretrained(context: Context) -> Any:
    """The generator of the sensitive categories to go on from: pre-trained where the run does that, else a new one."""
    model = context.generator()
    if not context.has("pretrain"):
        return model
    path = context.folder("pretrain") / "model.safetensors"
    categories = read_selection(context).class_names
    if categories == context.class_names:
        load_weights(model, path)
        return model
    public = context.generator(len(categories))
    load_weights(public, path)
    transfer(public, model, classes=(len(categories), len(context.class_names)))
    return model
