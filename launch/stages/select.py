"""Selection of the public categories that the query found most alike."""

from __future__ import annotations

from configs.files import atomic_json
from datamodules.indexed_set import load_selection
from datamodules.labelled_images import LabelledImages
from launch.context import Context
from launch.stage import stage
from launch.stages.query import read_histogram
from semantics.selection import select_categories, selected_images, selection_summary


@stage(needs=("query",), keys=("selection", "public"), makes=("stages/select/images", "stages/select/selection.json"))
def select(context: Context) -> str:
    """Keep k₂ public categories per sensitive category (PrivImage §3.3); post-processing of the query."""
    histogram = read_histogram(context)
    count = context.config.selection.semantics or context.config.query.semantics
    choice = select_categories(histogram, count)
    public, names = context.public, context.class_names
    images = selected_images(public, choice, names)
    images.save(context.folder("select") / "images")
    atomic_json(
        context.folder("select") / "selection.json", selection_summary(histogram, choice, public.class_names, names)
    )
    share = len(images) / len(public)
    return f"{sum(map(len, choice))} of {len(public.class_names)} public categories, {len(images)} images ({share:.0%})"


def read_selection(context: Context) -> LabelledImages:
    """The selected public images, relabelled with the sensitive categories."""
    return load_selection(context.folder("select") / "images", lambda: context.public)
