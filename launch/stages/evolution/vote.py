"""Images similar to the last candidates, labelled by the noisy votes near them."""

from __future__ import annotations

import numpy as np

from datamodules.progress import track
from datamodules.sets.image_set import ImageSet
from evolution.streams import ORDER_VOTED, stream
from launch.run.context import Context
from launch.run.release import write_release
from launch.run.stage import stage
from launch.stages.evolution.renderings import outcome_of, to_be_labelled
from launch.stages.evolution.setting import evolving
from launch.stages.synthesize import IMAGES_MADE


@stage(role="synthesize", needs=("evolve",), keys=("synthesize", "evolution"), makes=IMAGES_MADE)
def publish_voted(context: Context) -> str:
    """Release images similar to the last candidates, labelled by the votes for the candidates most similar to them.

    Post-processing, without a charge. Images of each category voted for candidates of any category. The votes near an
    image tell which category it looks like, regardless of the category for which it was made, and with which margin.
    """
    settings, count = context.config.evolution, context.config.synthesize.count
    setting, outcome = evolving(context), outcome_of(context)
    features = setting.features(outcome.population, settings.rounds - 1)[0]
    votes = np.stack(outcome.votes, axis=1)
    images, labels, margins = [], [], []
    parts = range(settings.oversample)
    for part in track(parts, "label images", total=len(parts), unit="part", show=context.console.progress):
        made, _ = to_be_labelled(outcome, setting, context, part)
        label, margin = setting.labels(votes, features, made)
        images.append(made)
        labels.append(label)
        margins.append(margin)
    margin = np.concatenate(margins)
    chance = stream(context.config.run.seed, ORDER_VOTED).random(len(margin))
    # images with enough margin in random order, then the others by margin
    kept = np.lexsort((chance, -np.minimum(margin, settings.sure)))[:count]
    kept = kept[np.argsort(chance[kept])]
    labelled = ImageSet(np.concatenate(images)[kept], np.concatenate(labels)[kept], context.class_names)
    write_release(context.directory, context.config, context.ledger, labelled)
    share = (margin[kept] >= settings.sure).mean()
    sure = f", {share:.0%} of them with a margin of at least {settings.sure:g} std" if settings.sure else ""
    missing = [name for i, name in enumerate(context.class_names) if i not in labelled.labels]
    none = f"; no image was labelled {', '.join(missing)}" if missing else ""
    return f"{count} of {len(margin)} images in {context.outputs}{sure}{none}"
