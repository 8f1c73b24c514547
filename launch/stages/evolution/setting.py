"""Private Evolution as a run configures it: its API, its features, its noise. Touches no sensitive data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, cached_property, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from accounting.plan import EVOLUTION
from configs.errors import UserError
from configs.schema import Experiment
from datamodules.sets.image_set import LabelledImages, balanced_sample
from evaluation.inception import inception_layer, load_inception
from evolution.api import Checked, Surroundings, by_round
from evolution.embedding import Embedding, Extractor, pixels
from evolution.loop import Evolving
from evolution.streams import STRANGERS, stream
from launch.components import naming, new_generator
from launch.run.context import Context
from launch.stages.evolution.reused import reused_outcome
from launch.stages.pretrain import pretrained
from launch.stages.query import read_histogram
from launch.stages.select import categories_each, read_selection
from semantics.by_name import named_categories
from semantics.selection import select_categories

SCALED_BY = 2000  # public images from which the scales of features are computed


def evolving(context: Context, known: Surroundings | None = None) -> Evolving:
    """How the run evolves its populations.

    Args:
        known: what the API gets to know (default: what the run knows).
    """
    config, known = context.config, known or surroundings(context)
    with naming("evolution.api"):
        api = by_round(config.evolution.api, known)
    return Evolving(
        evolution=config.evolution,
        class_names=context.class_names,
        api=api,
        anyone=cache(partial(out_of_class, context)),
        embedding=Features(context),
        noise=context.plan.mechanism(EVOLUTION).noise_multiplier,
        seed=config.run.seed,
    )


def rehearse(context: Context, charged: str) -> None:
    """Try Private Evolution with a few candidates before an earlier stage is charged. Touches no sensitive data.

    So mistakes are found before anything is charged.

    Args:
        charged: role of the stage that is about to be charged, such as "query".

    Raises:
        UserError: if the trial fails.
    """
    config, names = context.config, context.class_names
    if "evolve" not in config.stages or charged == "evolve" or context.has("evolve"):
        return
    if context.directory.marker(charged) is not None:
        return
    if config.evolution.reuse is not None:
        reused_outcome(context)
        return
    setting = evolving(context, imagined(config, context.public, names, context.device))
    rng = np.random.default_rng(config.run.seed)
    few = [setting.api(0).random(name, 2, rng) for name in names]
    setting.try_out(setting.even(few, 0))


def imagined(
    config: Experiment, public: LabelledImages, names: Sequence[str], device: torch.device | str
) -> Surroundings:
    """What an API may know before the run has anything: an untrained model, and similar categories by name.

    Args:
        public: public images.
        names: names of the sensitive categories.
        device: device of the model.
    """
    found = named_categories(config.selection.names, public.class_names, names)
    alike = {name: tuple(public.class_names[i] for i, row in found.items() if names[row] == name) for name in names}
    return Surroundings(
        image=config.image,
        class_names=tuple(names),
        alike=alike,
        public=lambda: public,
        model=lambda: (new_generator(config, len(names)).to(device), True),
    )


def surroundings(context: Context) -> Surroundings:
    """What an API may know of the run."""

    def model() -> tuple[Any, bool]:
        if not context.has("pretrain"):
            raise UserError("evolution.api: 'model' needs the stage pretrain before evolve (method=pe has it).")
        labelled = read_selection(context).class_names == context.class_names
        return pretrained(context).to(context.device), labelled

    return Surroundings(
        image=context.config.image,
        class_names=context.class_names,
        alike=alike(context),
        public=lambda: context.public,
        model=model,
    )


def alike(context: Context) -> dict[str, tuple[str, ...]]:
    """For each sensitive category, the public ones that the query found similar or, without it, those of its name."""
    public, names = context.public_source.class_names, context.class_names
    if context.has("query") and context.config.query.per_category:
        chosen = select_categories(read_histogram(context), categories_each(context))
        return {name: tuple(public[i] for i in row) for name, row in zip(names, chosen, strict=True)}
    matches = named_categories(context.config.selection.names, public, names)
    return {name: tuple(public[i] for i, label in matches.items() if names[label] == name) for name in names}


def out_of_class(context: Context) -> Checked:
    """The API of the first round, without knowledge of similar categories: it draws from all that it knows."""
    with naming("evolution.api"):
        return by_round(context.config.evolution.api, replace(surroundings(context), alike={}))(0)


def drawn_at_random(setting: Evolving, counts: Sequence[int], part: int = 0) -> np.ndarray:
    """Out-of-class images, of any category that the API knows. Touches no sensitive data.

    Args:
        counts: number of images per sensitive category for which the API is asked.
        part: number of the part; parts differ from each other.

    Returns:
        Images uint8 [N, C, H, W].
    """
    rng = stream(setting.seed, STRANGERS, part)
    api, each = setting.anyone(), zip(setting.class_names, counts, strict=True)
    return np.concatenate([api.random(name, count, rng).images for name, count in each])


class Features:
    """The features that votes compare, built when first needed. Their scales are computed from public images.

    Args:
        context: the run.
    """

    def __init__(self, context: Context) -> None:
        self.context = context

    def __call__(self, images: np.ndarray) -> Tensor:
        return self.embedding(images)

    @cached_property
    def embedding(self) -> Embedding:
        """The features, scaled."""
        context = self.context
        parts = {name: PARTS[name](context) for name in context.config.evolution.features}
        embedding = Embedding(parts, context.device)
        embedding.fit(balanced_sample(context.public, SCALED_BY, context.config.run.seed).in_memory().images)
        return embedding


def semantic(context: Context) -> Extractor:
    """The semantic classifier's features."""
    return context.trained_classifier().features


def inception(context: Context) -> Extractor:
    """The features of pytorch-fid's Inception network.

    Raises:
        UserError: if its weights are missing.
    """
    path, reason = context.setup.inception
    if path is None:
        raise UserError(f"evolution.features: inception is not available: {reason}.")
    network = load_inception(path).to(context.device)
    return lambda images: inception_layer(network, images)


PARTS: dict[str, Callable[[Context], Extractor]] = {
    "semantic": semantic,
    "pixels": lambda context: pixels,
    "inception": inception,
}
"""For each of `FEATURES` the function that builds it."""
