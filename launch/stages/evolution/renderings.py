"""Images similar to the last candidates of Private Evolution. Post-processing: touches no sensitive data."""

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
    """The last candidates of the run, with their votes.

    Raises:
        LedgerError: if the ledger does not know them.
    """
    outcome = Outcome.read(context.directory.path / OUTCOME)
    context.ledger.require(outcome.ledger_head)
    context.ledger.confirm(EVOLUTION, context.plan.mechanism(EVOLUTION).steps, outcome.digest)
    return outcome


def made_of_outcome(context: Context, counts: Sequence[int]) -> ImageSet:
    """Images similar to the last candidates, `counts` per category. Post-processing, without a charge."""
    return made_like(outcome_of(context), evolving(context), context, counts)


def made_like(outcome: Outcome, setting: Evolving, context: Context, counts: Sequence[int], part: int = 0) -> ImageSet:
    """Images similar to the candidates of an outcome.

    Args:
        counts: number of images per category.
        part: number of the part; parts differ from each other.
    """
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
    """Images that still need a label, as many as are released.

    Args:
        part: number of the part; parts differ from each other.

    Returns:
        Images uint8 [N, C, H, W], of which the last N - M are out-of-class (the share `evolution.share_at_random`), and
        the categories for which the first M were made, int64 [M].
    """
    count = context.config.synthesize.count
    outside = round(count * context.config.evolution.share_at_random)
    made = made_like(outcome, setting, context, evenly(count - outside, len(context.class_names)), part)
    drawn = drawn_at_random(setting, evenly(outside, len(context.class_names)), part)
    return np.concatenate([made.images, drawn]), made.labels


def evenly(count: int, classes: int) -> list[int]:
    """The number of images per category if `count` images are divided as equally as possible."""
    return [len(range(label, count, classes)) for label in range(classes)]
