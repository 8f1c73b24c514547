"""Images similar to the evolved candidates: released, or kept for pre-training."""

from __future__ import annotations

from launch.run.context import Context
from launch.run.release import write_release
from launch.run.stage import stage
from launch.stages.evolution.renderings import evenly, made_of_outcome
from launch.stages.select import MAKES, keep
from launch.stages.synthesize import IMAGES_MADE


@stage(role="synthesize", needs=("evolve",), keys=("synthesize",), makes=IMAGES_MADE)
def publish_evolved(context: Context) -> str:
    """Release images similar to the last candidates, equally many per category; post-processing, without a charge."""
    images = made_of_outcome(context, evenly(context.config.synthesize.count, len(context.class_names)))
    write_release(context.directory, context.config, context.ledger, images)
    return f"{len(images)} images in {context.outputs}"


@stage(role="select", needs=("evolve",), keys=("evolution",), makes=MAKES)
def select_evolved(context: Context) -> str:
    """Keep images similar to the last candidates for pre-training; post-processing, without a charge."""
    images = made_of_outcome(context, [context.config.evolution.rendered] * len(context.class_names))
    return keep(context, images, {}, f"{len(images)} images similar to the evolved candidates")
