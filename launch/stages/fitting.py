"""A run's training stages: Lightning fits with the run's folders, device and progress bar."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from lightning.pytorch import LightningModule
from torch import nn

from accounting.access import PrivateAccess
from configs.schema import Classifier, Launch, Pretrain
from datamodules.batches.poisson import SensitiveData
from datamodules.batches.public import PublicData
from datamodules.batches.step_batches import Part
from datamodules.sets.image_set import LabelledImages, Reading
from launch.run.context import Context
from launch.tracking.stage_logger import Extra, nothing
from launch.training.metrics_log import MetricsLog
from launch.training.progress_bar import Nominal, progress
from launch.training.snapshot_writer import SnapshotWriter, snapshot_steps
from launch.training.trainer import fit
from lightning_modules.acceleration import accelerated

Module = TypeVar("Module", bound=LightningModule)


def fit_public(
    context: Context,
    module: Module,
    network: nn.Module,
    images: LabelledImages,
    *,
    stage: str,
    settings: Classifier | Pretrain,
    validation: LabelledImages | None = None,
    validate_every: int | None = None,
    show_loss: bool = True,
) -> Module:
    """Train without clipping and noise, from the stage's last checkpoint if there is one.

    Args:
        module: the module to train.
        network: the part of it that runs in the precision of `settings`, and is compiled if they say so.
        images: training images. If they are sensitive, the result is NOT PRIVATE.
        stage: role of the stage.
        settings: the stage's settings.
        validation: validation images.
        validate_every: steps between two validations (default: no validation).
        show_loss: whether the console shows the loss.

    Returns:
        The trained module.
    """
    seed, steps, batch_size = context.config.run.seed, settings.steps, settings.batch_size
    with accelerated(network, precision=settings.precision, compile=settings.compile, stage=stage):
        return fit(
            module,
            lambda start: PublicData(
                images,
                batch_size,
                steps,
                seed,
                start=start,
                validation=validation,
                part=part(context),
                reading=reading(context.config.launch),
            ),
            total_steps=steps,
            validate_every=validate_every,
            progress=bar(context, Nominal(stage=stage, total_steps=steps, batch=batch_size, loss=show_loss)),
            **fit_settings(context, stage),
        )


def fit_private(context: Context, module: Module, access: PrivateAccess, *, stage: str) -> Module:
    """Train on the sensitive images for the steps that were charged.

    Args:
        module: the module to train.
        access: access to the charged mechanism.
        stage: role of the stage.

    Returns:
        The trained module.

    Sensitive: reads sensitive images.
    """
    mechanism, epsilon = access.mechanism, context.plan.epsilon_after
    kept = snapshot_steps(mechanism.steps, context.config.finetune.snapshots)
    nominal = Nominal(
        stage=stage,
        total_steps=mechanism.steps,
        batch=round(mechanism.sampling_rate * context.plan.n),
        epsilon=epsilon,
        timed=context.sensitive_source.public_benchmark,
    )
    return fit(
        module,
        lambda start: SensitiveData(context.sensitive, access, start=start, part=part(context)),
        total_steps=mechanism.steps,
        access=access,
        require=context.ledger.require,
        snapshots=SnapshotWriter(snapshot_folder(context), kept),
        progress=bar(context, nominal),
        **fit_settings(context, stage, lambda step: {"epsilon": epsilon(step + 1)}),
    )


def snapshot_folder(context: Context) -> Path:
    """Folder of the snapshots of exactly this fine-tuning."""
    return context.folder("finetune") / f"snapshots-{context.fingerprints['finetune'][:12]}"


def bar(context: Context, nominal: Nominal) -> Any:
    """The callback that shows the stage's progress; None if the console is quiet."""
    return progress(nominal) if context.console.progress else None


def part(context: Context) -> Part:
    """Which part of every batch belongs to this process."""
    return Part(context.ranks.rank, context.ranks.world)


def reading(settings: Launch) -> Reading:
    """How public images on disk are read ahead."""
    return Reading(workers=settings.workers, reader=settings.reader)


def fit_settings(context: Context, stage: str, extra: Extra = nothing) -> dict[str, Any]:
    """Arguments of `fit` that follow from the run: folder, device, notice, time between checkpoints, and loggers.

    Args:
        stage: role of the stage.
        extra: from a step to the values that dashboards show in addition to its metrics.
    """
    return {
        "folder": context.folder(stage) / f"checkpoints-{context.fingerprints[stage][:12]}",
        "accelerator": context.device.type,
        "notice": context.notice(stage),
        "minutes": context.config.launch.checkpoint_minutes,
        "loggers": [MetricsLog(context.metrics_folder(stage)), *context.tracking.loggers(stage, extra)],
    }
