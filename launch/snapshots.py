"""What the model had learnt on the way through fine-tuning: images of its snapshots, each with the ε it cost."""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass
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

SHARED = 4  # batches of a snapshot at least, for several processes to share out


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
    job draw them together, and each gets them all. [] where there are no snapshots.
    """
    steps = snapshot_steps(context.config.finetune.steps, context.config.finetune.snapshots)
    files = {step: snapshot_folder(context) / f"step-{step:08d}.safetensors" for step in steps}
    found = {step: path for step, path in files.items() if path.is_file()}  # one may have gone with a lost checkpoint
    if not found:
        return []
    least = LEAST_IMAGES * len(context.class_names)
    count = min(len(synthetic), max(context.config.evaluate.snapshot_count, least))
    model, epsilon = context.generator().to(context.device).eval(), epsilon_after(context)
    batches = context.folder("evaluate") / f"batches-{context.fingerprints['evaluate'][:12]}"
    shown = track(found.items(), "snapshots", total=len(found), unit="snapshot", show=context.console.progress)
    drawn = [Point(step, epsilon(step), sampled(context, model, step, path, count, batches)) for step, path in shown]
    if context.ranks.first:
        shutil.rmtree(batches)
    last = balanced_sample(synthetic, count, context.config.run.seed).in_memory()
    return [*drawn, Point(context.config.finetune.steps, context.ledger.epsilon(), last)]


def sampled(context: Context, model: Any, step: int, path: Path, count: int, batches: Path) -> ImageSet:
    """`count` images of a snapshot, and a grid of them in a file."""
    settings = context.config.synthesize
    load_weights(model.released, path)
    drawn = draw(
        model,
        count,
        context.class_names,
        seed=context.config.run.seed,
        batch_size=min(settings.batch_size, math.ceil(count / SHARED)),
        precision=settings.precision,
        kept=batches / str(step),
        ranks=context.ranks,
        progress=lambda parts, _: parts,
    )
    if context.ranks.first:
        write_samples(grid_path(context, step), drawn.images, released_notice(context.directory))
    return context.ranks.told(drawn.images)


def grid_path(context: Context, step: int) -> Path:
    """The picture of a snapshot's samples, or of the released ones after the last step."""
    if step == context.config.finetune.steps:
        return context.directory.release / "samples.png"
    return context.directory.internal / "snapshots" / f"step-{step:08d}.png"
