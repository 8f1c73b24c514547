"""Sampling of the synthetic set and writing of the release."""

from __future__ import annotations

import shutil

from datamodules.progress import track
from launch.context import Context, load_weights
from launch.release import RELEASED, write_release
from launch.sampling import draw
from launch.stage import stage


@stage(
    needs=("finetune",),
    keys=("synthesize", "generator"),
    shared=True,
    makes=tuple(f"release/{name}" for name in RELEASED),
)
def synthesize(context: Context) -> str:
    """Draw the synthetic images from the fine-tuned model; post-processing, free of charge."""
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
        compile=settings.compile,
        kept=batches,
        ranks=context.ranks,
        progress=lambda parts, count: track(
            parts, "synthesize", total=count, unit="batch", show=context.console.progress
        ),
    )
    if context.ranks.first:
        write_release(context.directory, context.config, context.ledger, model, drawn.images)
        shutil.rmtree(batches)
    speed = f" at {drawn.speed}" if drawn.sampled else ""
    return f"{settings.count} images{speed} in {context.directory.release}"
