"""Images like the last candidates of Private Evolution. Post-processing: nothing here touches sensitive data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from accounting.plan import EVOLUTION
from datamodules.progress import track
from datamodules.sets.image_set import ImageSet
from evolution.loop import Evolving
from evolution.outcome import Outcome
from launch.processes.interrupts import stop_if_asked
from launch.run.context import Context
from launch.stages.evolution.evolve import OUTCOME
from launch.stages.evolution.setting import drawn_at_random, evolving


def outcome_of(context: Context) -> Outcome:
    """The last candidates of the run."""
    outcome = Outcome.read(context.directory.path / OUTCOME)
    context.ledger.require(outcome.ledger_head)
    context.ledger.confirm(EVOLUTION, context.plan.mechanism(EVOLUTION).steps, outcome.digest)
    return outcome


def made_of_outcome(context: Context, counts: Sequence[int]) -> ImageSet:
    """Images like the last candidates, `counts` of each category. Post-processing, free of charge."""
    return made_like(outcome_of(context), evolving(context), context, counts)


def made_like(outcome: Outcome, setting: Evolving, context: Context, counts: Sequence[int], part: int = 0) -> ImageSet:
    """Images like the candidates of an outcome, `counts` of each category; each `part` is another."""
    show = context.console.progress
    each = list(zip(setting.candidates(outcome.population), outcome.shares, counts, strict=True))
    images = []
    for category, (samples, shares, count) in track(
        list(enumerate(each)), "make images", total=len(each), unit="category", show=show
    ):
        stop_if_asked()
        images.append(setting.rendered(samples, shares, count, category, part).images)
    labels = np.repeat(np.arange(len(counts), dtype=np.int64), counts)
    return ImageSet(np.concatenate(images), labels, context.class_names)


def to_be_labelled(
    outcome: Outcome, setting: Evolving, context: Context, part: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """As many images [N, C, H, W] as are released, and what those that are no strangers were made for, int64 [M].

    The last N - M of them, `evolution.share_at_random` of all, are of any category. Each `part` is another.
    """
    count = context.config.synthesize.count
    outside = round(count * context.config.evolution.share_at_random)
    made = made_like(outcome, setting, context, evenly(count - outside, context), part)
    drawn = drawn_at_random(setting, evenly(outside, context), part)
    return np.concatenate([made.images, drawn]), made.labels


def evenly(count: int, context: Context) -> list[int]:
    """How many of `count` images are of each category: as many of each as can be."""
    classes = len(context.class_names)
    return [len(range(label, count, classes)) for label in range(classes)]
