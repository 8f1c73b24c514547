"""Renderings of the evolved candidates, labelled by a classifier that was trained privately."""

from __future__ import annotations

import numpy as np
import torch

from datamodules.sets.image_set import ImageSet
from evolution.streams import ORDER_TAUGHT, stream
from launch.run.context import Context
from launch.run.release import write_release
from launch.run.stage import stage
from launch.stages.evolution.renderings import outcome_of, to_be_labelled
from launch.stages.evolution.setting import evolving
from launch.stages.synthesize import IMAGES_MADE
from lightning_modules.weights import load_weights


@stage(
    role="synthesize", needs=("evolve", "finetune"), keys=("synthesize", "evolution", "generator"), makes=IMAGES_MADE
)
def publish_taught(context: Context) -> str:
    """Release renderings of the candidates, labelled by the privately trained teacher.

    Post-processing, without a charge. The votes find where the sensitive images are, and the teacher where one category
    ends. So renderings may vary more than their original labels would allow, and some may be out-of-class.
    """
    images, made_for = to_be_labelled(outcome_of(context), evolving(context), context)
    count, labels = len(images), relabelled(context, images)
    changed = float((labels[: len(made_for)] != made_for).mean())
    order = stream(context.config.run.seed, ORDER_TAUGHT).permutation(
        count
    )  # otherwise images made for other categories come first
    labelled = ImageSet(images[order], labels[order], context.class_names)
    write_release(context.directory, context.config, context.ledger, labelled)
    outside = count - len(made_for)
    return (
        f"{count} images in {context.outputs}, {outside} of them out-of-class; {changed:.0%} of the others got "
        "another label than that for which they were made"
    )


def relabelled(context: Context, images: np.ndarray) -> np.ndarray:
    """The category of each image that is most likely to the teacher.

    Args:
        images: uint8 [N, C, H, W].

    Returns:
        int64 [N].
    """
    teacher = context.generator()
    load_weights(teacher.released, context.folder("finetune") / "model.safetensors")
    teacher.to(context.device)
    return teacher.probabilities(torch.from_numpy(images).to(context.device)).argmax(dim=1).cpu().numpy()
