"""How networks that score synthetic images are trained: configuration keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from configs.fields import key, section

LEAST_IMAGES = 2  # synthetic ones of each category: one to train a classifier on, one to choose it by


@dataclass
class Training:
    """Cross-entropy, AdamW and a one-cycle schedule; no augmentation, for a mirrored digit is none."""

    images: Optional[int] = key(
        None, "synthetic images to learn from, drawn at random; all but the hold-out unless given", at_least=2
    )
    epochs: int = key(12, "passes over these images, more where they are few", at_least=1)
    least_steps: int = key(300, "optimiser steps that a small set gets at the least", at_least=1)
    batch_size: int = key(128, "synthetic images a step", at_least=2)
    learning_rate: float = key(3e-3, "peak of the one-cycle schedule", above=0)
    weight_decay: float = key(1e-2, "decoupled weight decay", at_least=0)
    precision: str = key("fp32", "of the network; bf16 is autocast", choices=("fp32", "bf16"))


@dataclass
class LargeTraining:
    """DPImageBench's networks; the fields bear their names in `evaluate.classifiers`."""

    resnet: Training = section(Training, "ResNet-110")
    wrn: Training = section(Training, "WRN-40-4")
    resnext: Training = section(Training, "ResNeXt-29")
