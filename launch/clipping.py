"""The engine that clips and sums gradients in this experiment, tried out before anything is charged."""

from __future__ import annotations

from typing import Any

import torch

from accounting.plan import DP_SGD
from configs.schema import Experiment
from launch.context import Context
from lightning_modules.dp_sgd.engine import ENGINES, ClippedSum, sum_size
from lightning_modules.dp_sgd.grid import check_noise
from lightning_modules.dp_sgd.validation import check_records_apart


def tried_engine(config: Experiment, model: Any, *, classes: int, device: torch.device) -> ClippedSum:
    """`finetune.engine` over a generator that is moved to the device, after a trial on made-up images.

    Raises UserError where the trial finds records that meet. Touches no sensitive data.
    """
    settings = config.finetune
    engine = ENGINES[settings.engine](model.to(device), settings.clip_norm, settings.precision)
    check_records_apart(model, engine, shape=config.image.shape, classes=classes, device=device)
    return engine


def checked_engine(context: Context, model: Any) -> ClippedSum:
    """The tried engine of the run's DP-SGD over `model`, whose noise fits the grid of its sum.

    Raises UserError where either does not. Touches no sensitive data.
    """
    engine = tried_engine(context.config, model, classes=len(context.class_names), device=context.device)
    check_noise(context.plan.mechanism(DP_SGD), sum_size(model), context.ranks.world)
    return engine


def rehearse_training(context: Context, charged: str) -> None:
    """Try DP-SGD's engine on an untrained network before another stage is charged, a query say.

    UserError where it could not follow. Touches no sensitive data.
    """
    later = "finetune" in context.config.stages and charged != "finetune" and not context.has("finetune")
    if later and context.directory.marker(charged) is None:
        checked_engine(context, context.generator())
