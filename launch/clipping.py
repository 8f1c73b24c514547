"""The engine that clips and sums gradients in this experiment, tried out before anything is charged."""

from __future__ import annotations

from typing import Any

import torch

from configs.schema import Experiment
from lightning_modules.dp_sgd.engine import ENGINES, ClippedSum
from lightning_modules.dp_sgd.validation import check_records_apart


def tried_engine(config: Experiment, model: Any, *, classes: int, device: torch.device) -> ClippedSum:
    """`finetune.engine` over a generator that is moved to the device, after a trial on made-up images.

    Raises UserError where the trial finds records that meet. Touches no sensitive data.
    """
    settings = config.finetune
    engine = ENGINES[settings.engine](model.to(device), settings.clip_norm, settings.precision)
    check_records_apart(model, engine, shape=config.image.shape, classes=classes, device=device)
    return engine
