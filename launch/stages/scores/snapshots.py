"""Images of the snapshots that were written during fine-tuning, each with the ε spent by then."""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from configs.schema import Experiment
from configs.scoring import LEAST_IMAGES
from datamodules.progress import track
from datamodules.sets.image_set import ImageSet, balanced_sample
from launch.run.context import Context
from launch.run.release import released_notice, write_samples
from launch.stages.fitting import snapshot_folder
from launch.stages.sampling import draw
from launch.training.snapshot_writer import snapshot_steps
from lightning_modules.weights import load_weights

SHARED = 4  # batches per snapshot, at least, for several processes to divide among them


@dataclass(frozen=True)
class Point:
    """Images of the model after some DP-SGD steps."""

    step: int
    """DP-SGD steps done."""
    epsilon: float
    """ε of these steps together with everything charged before them."""
    images: ImageSet
    """Images drawn from the model at that step."""

    @property
    def name(self) -> str:
        """The name under which it is scored."""
        return f"after {self.step} steps"

    @property
    def place(self) -> dict[str, float]:
        """Its place on a curve: step, ε, and the number of images by which it is scored."""
        return {"step": self.step, "epsilon": self.epsilon, "count": len(self.images)}


def points(context: Context, synthetic: ImageSet) -> list[Point]:
    """Images of every snapshot and, last, as many of the released ones: one point each on the curve of a score.

    The numbers are equal, since Fréchet distances fall and accuracies rise with the number of images. The samples are
    post-processing, and drawn with the same random numbers. A grid of each goes to `internal/snapshots`. The processes
    of a job draw them together, and each gets all of them.

    Args:
        synthetic: the released images.

    Returns:
        The points by ascending step; [] if there are no snapshots, or the released images are not drawn from the model.
    """
    steps = snapshot_steps(context.plan.training_steps, context.config.finetune.snapshots)
    files = {step: snapshot_folder(context) / f"step-{step:08d}.safetensors" for step in steps}
    found = {step: path for step, path in files.items() if path.is_file()}  # one may be lost with a checkpoint
    if not found or not draws_from_model(context.config):
        return []
    least = LEAST_IMAGES * len(context.class_names)
    count = min(len(synthetic), max(context.config.evaluate.snapshot_count, least))
    model = context.generator()

    def drawn(step: int, path: Path) -> ImageSet:
        load_weights(model.released, path)
        images = sampled(context, model, str(step), count)
        if context.ranks.first:
            write_samples(grid_path(context, step), images, released_notice(context.outputs))
        return images

    shown = track(found.items(), "snapshots", total=len(found), unit="snapshot", show=context.console.progress)
    on_the_way = [Point(step, context.plan.epsilon_after(step), drawn(step, path)) for step, path in shown]
    last = balanced_sample(synthetic, count, context.config.run.seed).in_memory()
    return [*on_the_way, Point(context.plan.training_steps, context.ledger.epsilon(), last)]


def sampled(context: Context, model: Any, name: str, count: int) -> ImageSet:
    """Images of a model for evaluation; post-processing. The processes of a job draw them together, and each gets all.

    Args:
        model: the generator.
        name: name of the folder that keeps finished batches.
        count: number of images.
    """
    settings = context.config.synthesize
    batches = context.folder("evaluate") / f"batches-{context.fingerprints['evaluate'][:12]}" / name
    drawn = draw(
        model.to(context.device).eval(),
        count,
        context.class_names,
        seed=context.config.run.seed,
        batch_size=min(settings.batch_size, math.ceil(count / SHARED)),
        precision=settings.precision,
        kept=batches,
        ranks=context.ranks,
        progress=lambda parts, _: parts,
    )
    if context.ranks.first:
        shutil.rmtree(batches)
    return context.ranks.broadcast(drawn.images)


def draws_from_model(config: Experiment) -> bool:
    """Whether the released images are drawn from the trained model."""
    return "synthesize" in config.stages


def grid_path(context: Context, step: int) -> Path:
    """File with the picture of a snapshot's samples or, after the last step, of the released ones."""
    if step == context.plan.training_steps:
        return context.outputs / "samples.png"
    return context.directory.internal / "snapshots" / f"step-{step:08d}.png"
