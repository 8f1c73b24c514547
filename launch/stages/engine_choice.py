"""The engine that clips and sums gradients: tried out before any charge, and how many records it takes at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from accounting.plan import DP_SGD
from configs.files import atomic_json, read_json
from configs.schema import Experiment
from launch.processes.resources import free_memory
from launch.run.context import Context
from lightning_modules.dp_sgd.engine import ENGINES, ClippedSum, sum_size
from lightning_modules.dp_sgd.grid import check_noise
from lightning_modules.dp_sgd.micro_batch import GIB, largest_micro_batch
from lightning_modules.dp_sgd.validation import check_records_apart

SHARE = {"cuda": 0.9, "cpu": 0.5}  # of the free memory: others use the machine too, and its memory is fragmented
COPIES = 7  # times all weights: their average, Adam's two moments, the sum so far and the noise in 64 bits
LOST = "Remove the file, and only it: the micro-batch is then chosen again."


def tried_engine(config: Experiment, model: Any, *, classes: int, device: torch.device) -> ClippedSum:
    """The engine of `finetune.engine` for a generator, after a trial on made-up images. Touches no sensitive data.

    Args:
        model: the generator; it is moved to the device.
        classes: number of sensitive categories.

    Raises:
        UserError: if the trial finds that the gradient of one record depends on another.
    """
    settings = config.finetune
    engine = ENGINES[settings.engine](model.to(device), settings.clip_norm, settings.precision)
    check_records_apart(model, engine, shape=config.image.shape, classes=classes, device=device)
    return engine


def checked_engine(context: Context, model: Any) -> ClippedSum:
    """The engine of the run's DP-SGD for `model`, tried out, with noise that fits the grid of its sum.

    Touches no sensitive data.

    Raises:
        UserError: if the trial fails, or the noise does not fit the grid.
    """
    engine = tried_engine(context.config, model, classes=len(context.class_names), device=context.device)
    check_noise(context.plan.mechanism(DP_SGD), sum_size(model), context.ranks.world)
    return engine


def rehearse_training(context: Context, charged: str) -> None:
    """Try DP-SGD's engine on an untrained network before an earlier stage is charged. Touches no sensitive data.

    Args:
        charged: role of the stage that is about to be charged, such as "query".

    Raises:
        UserError: as in `checked_engine`.
    """
    later = "finetune" in context.config.stages and charged != "finetune" and not context.has("finetune")
    if later and context.directory.marker(charged) is None:
        checked_engine(context, context.generator())


def choose(
    config: Experiment,
    model: Any,
    engine: ClippedSum,
    *,
    classes: int,
    device: torch.device,
    record: Path | None = None,
    fingerprint: str = "",
    processes: int = 1,
) -> int:
    """Records at once: `finetune.micro_batch` or, with `auto`, the largest number that fits, up to the logical batch.

    Touches no sensitive data. A stage that resumes keeps its choice, since sums of other micro-batches are rounded
    differently. It chooses again only if the memory no longer suffices.

    Args:
        model: the generator; with `auto` it is moved to the device.
        engine: its engine.
        classes: number of sensitive categories.
        record: file in which the choice is kept.
        fingerprint: of the stage; a choice of another one is not used.
        processes: number on this machine. They share its memory, but not that of a GPU.

    Raises:
        UserError: if not even one record fits.
    """
    settings = config.finetune
    if settings.micro_batch != "auto":
        return settings.micro_batch
    model.to(device)
    free = free_memory(device) // (processes if device.type == "cpu" else 1)
    given = settings.memory_gib * GIB if settings.memory_gib is not None else None
    extra = COPIES * sum(weight.nbytes for weight in model.parameters())
    stage = {"fingerprint": fingerprint, "device": device.type}
    if record is not None and record.is_file():
        kept = read_json(record, LOST)
        if stage.items() <= kept.items() and kept["peak_bytes"] + extra <= (given or free):
            return int(kept["size"])
    found = largest_micro_batch(
        engine,
        shape=config.image.shape,
        classes=classes,
        device=device,
        memory=SHARE[device.type] * free if given is None else given,
        largest=settings.batch_size,
        beside=extra,
    )
    if record is not None:
        atomic_json(record, {**stage, "size": found.size, "peak_bytes": found.peak_bytes})
    return found.size
