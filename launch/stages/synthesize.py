"""Make the synthetic set, by sampling or from public images, and write the release."""

from __future__ import annotations

import shutil

from datamodules.progress import track
from datamodules.sets.image_set import LabelledImages, balanced_sample
from launch.run.context import Context
from launch.run.release import IMAGES, MODEL, write_release
from launch.run.stage import OUTPUTS, stage
from launch.stages.sampling import draw
from launch.stages.select import read_selection
from lightning_modules.weights import load_weights

IMAGES_MADE = tuple(OUTPUTS + name for name in IMAGES)
MODEL_MADE = tuple(OUTPUTS + name for name in MODEL)


@stage(
    needs=("finetune",),
    keys=("synthesize", "generator"),
    shared=True,
    makes=IMAGES_MADE + MODEL_MADE,
)
def synthesize(context: Context) -> str:
    """Draw the synthetic images from the fine-tuned model; post-processing, without a charge."""
    settings = context.config.synthesize
    model = context.generator()
    load_weights(model.released, context.folder("finetune") / "model.safetensors")
    model.to(context.device).eval()
    batches = context.folder("synthesize") / f"batches-{context.fingerprints['synthesize'][:12]}"
    drawn = draw(
        model,
        settings.count,
        context.class_names,
        seed=context.config.run.seed,
        batch_size=settings.batch_size,
        precision=settings.precision,
        compiled=settings.compile,
        kept=batches,
        ranks=context.ranks,
        progress=lambda parts, count: track(
            parts, "synthesize", total=count, unit="batch", show=context.console.progress
        ),
    )
    if context.ranks.first:
        write_release(context.directory, context.config, context.ledger, drawn.images, model)
        shutil.rmtree(batches)
    speed = f" at {drawn.speed}" if drawn.sampled else ""
    return f"{settings.count} images{speed} in {context.outputs}"


@stage(role="synthesize", needs=("select",), keys=("synthesize",), makes=IMAGES_MADE)
def publish_selection(context: Context) -> str:
    """Release selected public images unchanged, with sensitive categories; a control without a generator."""
    return as_they_are(context, read_selection(context), "public images")


@stage(
    role="synthesize",
    keys=("synthesize", "sensitive"),
    reads_sensitive=True,
    makes=IMAGES_MADE,
)
def take_sensitive(context: Context) -> str:
    """Put sensitive images in `internal/` instead of synthetic ones, as a ceiling.

    Sensitive: the images are sensitive ones; the result is NOT PRIVATE.
    """
    return as_they_are(context, context.sensitive.exposed(), "NOT PRIVATE, sensitive training images")


def as_they_are(context: Context, images: LabelledImages, what: str) -> str:
    """Write the outputs from a set of images, with equal numbers from its categories.

    Args:
        what: what they are, for the console line.

    Returns:
        The stage's console line.
    """
    chosen = balanced_sample(images, context.config.synthesize.count, context.config.run.seed).in_memory()
    write_release(context.directory, context.config, context.ledger, chosen)
    return f"{len(chosen)} {what} in {context.outputs}"
