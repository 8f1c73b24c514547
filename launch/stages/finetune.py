"""Fine-tuning of the generator on the sensitive images with DP-SGD."""

from __future__ import annotations

import dataclasses
from typing import Any

from accounting.plan import DP_SGD
from accounting.statements import epsilon_text, noise_text
from configs.schema import Experiment, Pretrain
from launch.run.context import Context
from launch.run.stage import stage
from launch.stages.engine_choice import checked_engine, choose
from launch.stages.fitting import fit_private
from launch.stages.pretrain import pretrained, trained
from lightning_modules.dp_sgd.engine import ClippedSum
from lightning_modules.dp_sgd.private_training import PrivateTraining
from lightning_modules.weights import save_weights


@stage(
    uses=("pretrain", "select"),
    keys=("sensitive", "finetune", "generator", "privacy"),
    reads_sensitive=True,
    shared=True,
    charged=True,
    makes=("stages/finetune/model.safetensors",),
)
def finetune(context: Context) -> str:
    """DP-SGD on the sensitive images.

    Source: PrivImage, Algorithm 1.

    Sensitive: trains on sensitive images; charged as `dp-sgd`.
    """
    settings = context.config.finetune
    mechanism = context.plan.mechanism(DP_SGD)
    model = pretrained(context)
    engine = checked_engine(context, model)
    micro_batch = context.ranks.broadcast(chosen(context, model, engine) if context.ranks.first else 0)
    access = context.charge(mechanism, "finetune")
    module = PrivateTraining(
        model,
        engine,
        access,
        expected_batch=settings.batch_size,
        micro_batch=micro_batch,
        learning_rate=settings.learning_rate,
        ema_decay=settings.ema_decay,
        ranks=context.ranks.world,
    )
    module = fit_private(context, module, access, stage="finetune")
    if context.ranks.first:
        save_weights(module.averaged, context.folder("finetune") / "model.safetensors", context.notice("finetune"))
    spent = context.ledger.epsilon()
    together = f" ({micro_batch} records at once)" if settings.micro_batch == "auto" else ""
    return (
        f"{settings.steps} DP-SGD steps{together}, noise multiplier {noise_text(mechanism.noise_multiplier)}, "
        f"ε = {epsilon_text(spent)} spent"
    )


@stage(
    role="finetune",
    uses=("pretrain", "select"),
    keys=("sensitive", "pretrain", "finetune", "generator"),
    reads_sensitive=True,
    shared=True,
    makes=("stages/finetune/model.safetensors",),
)
def finetune_without_noise(context: Context) -> str:
    """Ordinary training on the sensitive images, with the settings of pre-training, as a ceiling.

    Sensitive: trains on sensitive images without noise; the result is NOT PRIVATE.
    """
    settings = settings_without_noise(context.config)
    module = trained(context, pretrained(context), context.sensitive.exposed(), settings, stage="finetune")
    if context.ranks.first:
        save_weights(module.ema.module, context.folder("finetune") / "model.safetensors", context.notice("finetune"))
    return f"NOT PRIVATE, {settings.steps} steps without clipping and noise"


def settings_without_noise(config: Experiment) -> Pretrain:
    """Settings of the ceiling's training: those of pre-training, with its own number of steps if that is given."""
    steps = config.finetune.steps_without_noise
    return config.pretrain if steps is None else dataclasses.replace(config.pretrain, steps=steps)


def chosen(context: Context, model: Any, engine: ClippedSum) -> int:
    """Records that each process takes at once. Only one process measures: simultaneous measurements would interfere."""
    return choose(
        context.config,
        model,
        engine,
        classes=len(context.class_names),
        device=context.device,
        record=context.folder("finetune") / "micro_batch.json",
        fingerprint=context.fingerprints["finetune"],
        processes=context.ranks.local_world,
    )
