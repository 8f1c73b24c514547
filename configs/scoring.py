"""How networks that score synthetic images are trained: configuration keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from configs.fields import key, section

LEAST_IMAGES = 2  # synthetic ones of each category: one to train a classifier on, one to choose it by


@dataclass
class Training:
    """Cross-entropy, AdamW and a one-cycle schedule. No augmentation: a mirrored digit is not a digit."""

    images: Optional[int] = key(
        None, "synthetic images to train on, drawn at random (default: all but the held-out ones)", at_least=2
    )
    epochs: int = key(12, "passes over these images; more if there are few", at_least=1)
    least_steps: int = key(300, "optimiser steps at least, for small sets", at_least=1)
    batch_size: int = key(128, "synthetic images per step", at_least=2)
    learning_rate: float = key(3e-3, "peak of the one-cycle schedule", above=0)
    weight_decay: float = key(1e-2, "decoupled weight decay", at_least=0)
    precision: str = key("fp32", "of the network; bf16 uses autocast", choices=("fp32", "bf16"))


@dataclass
class LargeTraining:
    """DPImageBench's networks; the fields are named as in `evaluate.classifiers`."""

    resnet: Training = section(Training, "ResNet-110")
    wrn: Training = section(Training, "WRN-40-4")
    resnext: Training = section(Training, "ResNeXt-29")
