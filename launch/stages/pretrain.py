"""Pre-training of the generator on public images."""

from __future__ import annotations

from typing import Any

from configs.schema import Pretrain
from datamodules.sets.image_set import LabelledImages
from launch.run.context import Context
from launch.run.stage import stage
from launch.stages.fitting import fit_public
from launch.stages.select import read_selection
from lightning_modules.generator_training import PublicTraining
from lightning_modules.transfer import transfer
from lightning_modules.weights import load_weights, save_weights


@stage(needs=("select",), keys=("generator", "pretrain"), shared=True, makes=("stages/pretrain/model.safetensors",))
def pretrain(context: Context) -> str:
    """Train the generator on the selection (PrivImage §3.4), with its categories. Touches no sensitive data."""
    images = read_selection(context)
    model, settings = context.generator(len(images.class_names)), context.config.pretrain
    module = trained(context, model, images, settings, stage="pretrain")
    averaged: Any = module.averaged()
    if context.ranks.first:
        save_weights(averaged, context.folder("pretrain") / "model.safetensors", context.notice("pretrain"))
    parameters = sum(value.numel() for value in averaged.parameters())
    return f"{settings.steps} steps, {parameters / 1e6:.2f} M parameters"


def trained(context: Context, model: Any, images: LabelledImages, settings: Pretrain, *, stage: str) -> PublicTraining:
    """A generator, trained without clipping and noise.

    Args:
        model: the generator to train.
        images: training images. If they are sensitive, the result is NOT PRIVATE.
        settings: those of pre-training, or similar.
        stage: role of the stage.
    """
    module = PublicTraining(model, settings, seed=context.config.run.seed)
    network, shown = module.generator.trainable, context.may_show
    return fit_public(context, module, network, images, stage=stage, settings=settings, show_loss=shown)


def pretrained(context: Context) -> Any:
    """The generator of the sensitive categories: pre-trained if the run has that stage, otherwise new."""
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
