"""Renderings of the evolved candidates under the labels of a classifier that was trained privately."""

from __future__ import annotations

import torch

from datamodules.image_set import ImageSet
from launch.context import Context, load_weights
from launch.release import write_release
from launch.stage import stage
from launch.stages.evolve import even_counts, made_of_outcome
from launch.stages.synthesize import IMAGES_MADE


@stage(
    role="synthesize", needs=("evolve", "finetune"), keys=("synthesize", "evolution", "generator"), makes=IMAGES_MADE
)
def publish_taught(context: Context) -> str:
    """Release renderings of the candidates, labelled by the privately trained teacher; post-processing, free of charge.

    The votes find where the sensitive images lie, the teacher where one category ends: renderings may be spread far
    wider than their own labels would hold.
    """
    images = made_of_outcome(context, even_counts(context))
    labelled = relabelled(context, images)
    changed = float((labelled.labels != images.labels).mean())
    write_release(context.directory, context.config, context.ledger, labelled)
    return f"{len(labelled)} images in {context.outputs}, {changed:.0%} under another label than they were made for"


def relabelled(context: Context, images: ImageSet) -> ImageSet:
    """The images under the teacher's likeliest category of each."""
    teacher = context.generator()
    load_weights(teacher.released, context.folder("finetune") / "model.safetensors")
    teacher.to(context.device)
    found = teacher.probabilities(torch.from_numpy(images.images).to(context.device))
    return ImageSet(images.images, found.argmax(dim=1).cpu().numpy(), images.class_names)
