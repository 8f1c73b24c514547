"""Which public images the generator is pre-trained on: those that the query found similar, all, or random ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from configs.files import atomic_json
from datamodules.sets.image_set import LabelledImages
from datamodules.sets.indexed_set import load_selection
from launch.run.context import Context
from launch.run.stage import stage
from launch.stages.query import read_histogram
from semantics.by_name import public_only_set, unmatched
from semantics.selection import random_categories, select_categories, selected_images, selection_summary

MAKES = ("stages/select/images", "stages/select/selection.json")


@stage(needs=("query",), keys=("selection", "public"), makes=MAKES)
def select(context: Context) -> str:
    """Keep k₂ public categories per sensitive category (PrivImage §3.3); post-processing of the query."""
    histogram = read_histogram(context)
    return keep_categories(context, select_categories(histogram, categories_each(context)), histogram)


@stage(role="select", keys=("selection", "query", "public", "sensitive"), makes=MAKES)
def select_random(context: Context) -> str:
    """Keep as many public categories as `select` would, drawn at random; a control. Touches no sensitive data."""
    rows = len(context.class_names) if context.config.query.per_category else 1
    categories = len(context.public.class_names)
    choice = random_categories(rows, categories, categories_each(context), context.config.run.seed)
    return keep_categories(context, choice, np.zeros((rows, categories), dtype=np.int64))


@stage(role="select", keys=("selection", "public"), makes=MAKES)
def select_all(context: Context) -> str:
    """Keep every public image with its own category, as PDP-Diffusion and DPGAN-p do. Touches no sensitive data."""
    public = context.public
    return keep(context, public, {}, f"all {len(public.class_names)} public categories, {len(public)} images")


@stage(role="select", keys=("selection", "public", "sensitive"), makes=MAKES)
def select_by_name(context: Context) -> str:
    """Keep the public categories with the name of a sensitive category; a control. Touches no sensitive image."""
    images = public_only_set(context.public, context.class_names, context.config.selection.names)
    if images is None:
        raise unmatched(context.config)
    return keep(context, images, {}, f"public categories by name, {len(images)} images")


def categories_each(context: Context) -> int:
    """k₂, the number of public categories per sensitive one."""
    return context.config.selection.semantics or context.config.query.semantics


def keep_categories(context: Context, choice: list[list[int]], histogram: np.ndarray) -> str:
    """Relabel the images of the chosen categories with the sensitive ones, and keep them for pre-training.

    Args:
        choice: public categories of each row.
        histogram: int64 [rows, public categories], for the summary.

    Returns:
        The stage's console line.
    """
    public, names = context.public, context.class_names
    images = selected_images(public, choice, names)
    exact = context.guarantee.without_noise is not None
    summary = selection_summary(histogram, choice, public.class_names, names, exact=exact)
    chosen = sum(map(len, choice))
    share = len(images) / len(public)
    line = f"{chosen} of {len(public.class_names)} public categories"
    line += f", {len(images)} images ({share:.0%})" if context.may_show else ""
    return keep(context, images, summary, line)


def keep(context: Context, images: LabelledImages, summary: dict[str, Any], line: str) -> str:
    """Write the images and the summary of a selection, and return the stage's console line."""
    images.save(context.folder("select") / "images")
    atomic_json(context.folder("select") / "selection.json", summary)
    return line


def read_selection(context: Context) -> LabelledImages:
    """The selected public images, labelled with the sensitive categories, or all of them with their own."""
    return load_selection(context.folder("select") / "images", lambda: context.public)
