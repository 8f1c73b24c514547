"""What the model had learnt on the way through fine-tuning: images of its snapshots, each with the ε it cost."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import Any

from datamodules.image_set import ImageSet
from datamodules.progress import track
from evaluation.controls import balanced_sample
from launch.checks import LEAST_IMAGES
from launch.context import Context, load_weights
from launch.fitting import epsilon_after, snapshot_folder
from launch.release import released_notice, write_samples
from launch.sampling import draw
from launch.snapshot_writer import snapshot_steps


@dataclass(frozen=True)
class Point:
    """Images of the model after `step` DP-SGD steps, which cost `epsilon` together with what came before them."""

    step: int
    epsilon: float
    images: ImageSet

    @property
    def name(self) -> str:
        """The name that it is scored under."""
        return f"after {self.step} steps"

    @property
    def place(self) -> dict[str, float]:
        """Where on a curve it stands: step, ε and the number of images it is scored by."""
        return {"step": self.step, "epsilon": self.epsilon, "count": len(self.images)}


def points(context: Context, synthetic: ImageSet) -> list[Point]:
    """Images of every snapshot and, last, as many of the released ones `synthetic`: one point each of a score's curve.

    Equal numbers, because Fréchet distances fall and accuracies rise with the number of images. The samples are
    post-processing, drawn with the same random numbers; a grid of each goes to `internal/snapshots`. The processes of a
    job share the snapshots out. [] where there are none.
    """
    steps = snapshot_steps(context.config.finetune.steps, context.config.finetune.snapshots)
    files = {step: snapshot_folder(context) / f"step-{step:08d}.safetensors" for step in steps}
    found = [(step, path) for step, path in files.items() if path.is_file()]  # one may have gone with a lost checkpoint
    if not found:
        return []
    least = LEAST_IMAGES * len(context.class_names)
    count = min(len(synthetic), max(context.config.evaluate.snapshot_count, least))
    model, work = context.generator().to(context.device).eval(), context.ranks.share(found)
    shown = track(work, "snapshots", total=len(work), unit="snapshot", show=context.console.progress)
    mine = [(step, sampled(context, model, step, path, count)) for _, (step, path) in shown]
    drawn = sorted(chain.from_iterable(context.ranks.all_told(mine)), key=itemgetter(0))
    last = balanced_sample(synthetic, count, context.config.run.seed)
    epsilon, total = epsilon_after(context), context.config.finetune.steps
    return [
        *(Point(step, epsilon(step), images) for step, images in drawn),
        Point(total, context.ledger.epsilon(), last),
    ]


def sampled(context: Context, model: Any, step: int, path: Path, count: int) -> ImageSet:
    """`count` images of a snapshot, and a grid of them in a file."""
    settings = context.config.synthesize
    load_weights(model.trainable, path)
    images = draw(
        model,
        count,
        context.class_names,
        seed=context.config.run.seed,
        batch_size=settings.batch_size,
        precision=settings.precision,
        progress=list,
    ).images
    write_samples(grid_path(context, step), images, released_notice(context.directory))
    return images


def grid_path(context: Context, step: int) -> Path:
    """The picture of a snapshot's samples, or of the released ones after the last step."""
    if step == context.config.finetune.steps:
        return context.directory.release / "samples.png"
    return context.directory.internal / "snapshots" / f"step-{step:08d}.png"
