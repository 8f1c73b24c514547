"""Mistakes in an experiment that can be found before any image is read."""

from __future__ import annotations

import os
import warnings

import torch

from accounting.run_key import RunKey
from configs.errors import UserError
from configs.schema import Experiment
from configs.scoring import LEAST_IMAGES
from datamodules.sources.source import ClassFoldered, Source
from evaluation.scorer import SCORERS
from evaluation.scores import CONTROLS
from launch.components import naming, new_classifier, new_generator
from launch.preflight.evolution_checks import check_evolution
from launch.preflight.shared_files import check_apart
from launch.run.reused_answers import warn_of_unused
from launch.run.setup import Setup
from launch.tracking.tracking import check_tracking
from lightning_modules.dp_sgd.validation import check_network
from semantics.by_name import named_categories, unmatched
from semantics.similarity import load_word_vectors

CHOOSING = {"query", "query_without_noise", "select_random"}  # stages that choose k₂ public categories for each row
LONGEST_NAME = 200  # bytes; a file system allows 255, and names of copies are a little longer
ABILITIES = {"synthesize": ("sample", "draws images"), "publish_taught": ("probabilities", "labels images")}
"""For each stage that uses the model: a method that the model must have, and what it does."""


def check_experiment(setup: Setup) -> None:
    """Check everything that would otherwise fail later. Opens no image.

    Raises:
        UserError: with the key.
    """
    config = setup.config
    if not config.run.name or "/" in config.run.name or config.run.name.startswith("."):
        raise UserError(
            f"run.name: got {config.run.name!r}; allowed is a plain folder name. The folder goes under run.root."
        )
    if len(os.fsencode(config.run.name)) > LONGEST_NAME:
        raise UserError(
            f"run.name: got {len(config.run.name)} letters; a folder's name has at most {LONGEST_NAME} bytes."
        )
    check_files(setup)
    check_tracking(config)
    if not config.evaluate.classifiers:
        raise UserError(f"evaluate.classifiers: give at least one of {', '.join(SCORERS.names())}.")
    for name in config.evaluate.classifiers:
        if name not in SCORERS.names():
            raise UserError(f"evaluate.classifiers: there is no '{name}' (there are: {', '.join(SCORERS.names())}).")
    for name in config.evaluate.controls:
        if name not in CONTROLS:
            raise UserError(f"evaluate.controls: there is no '{name}' (there are: {', '.join(CONTROLS)}).")
    sensitive, public = setup.sources.sensitive, setup.sources.public
    check_apart(config, public, sensitive)
    check_public_categories(public)
    check_evolution(setup)
    warn_of_unused(config)
    check_labels(config, rows=len(sensitive.class_names))
    matches = named_categories(config.selection.names, tuple(public.class_names), tuple(sensitive.class_names))
    if "select_by_name" in config.stages:
        check_names(config, matches, tuple(sensitive.class_names))
    check_semantics(config, rows=len(sensitive.class_names), categories=len(public.class_names))
    if config.synthesize.count < LEAST_IMAGES * len(sensitive.class_names):
        raise UserError(
            f"synthesize.count: got {config.synthesize.count}; allowed is at least {LEAST_IMAGES} for each of the "
            f"{len(sensitive.class_names)} categories, since scores need them."
        )
    with torch.device("meta"):  # only shapes: checking a network of 80 M parameters costs nothing
        new_classifier(config, len(public.class_names))
        model = new_generator(config, len(sensitive.class_names))
    check_network(model.trainable)
    for stage, (ability, does) in ABILITIES.items():
        if stage in config.stages and not hasattr(model, ability):
            raise UserError(
                f"generator.name: the stage '{stage}' needs a model that {does}, which '{config.generator.name}' does "
                "not."
            )


def check_public_categories(public: Source) -> None:
    """Check that every public category has an image. A sensitive one need not: an error would tell about its records.

    Raises:
        UserError: if a public category has none.
    """
    with naming("public"):
        empty = public.empty_categories() if isinstance(public, ClassFoldered) else []
    if empty:
        raise UserError(
            f"public.root: category '{empty[0]}' has no images. Put its images there, or remove the sub-folder."
        )


def check_labels(config: Experiment, *, rows: int) -> None:
    """Check that public images that are released unchanged get sensitive categories.

    Args:
        rows: number of sensitive categories.

    Raises:
        UserError: if they do not.
    """
    if "publish_selection" not in config.stages:
        return
    if "select_all" in config.stages or (rows > 1 and "query" in config.stages and not config.query.per_category):
        raise UserError(
            "stages: 'publish_selection' would release public images that were chosen for no particular sensitive "
            "category. Use select with query.per_category=true, select_random or select_by_name."
        )


def check_names(config: Experiment, matches: dict[int, int], names: tuple[str, ...]) -> None:
    """Check that public categories match sensitive ones by name. Warns of sensitive categories without a match.

    Args:
        matches: from labels of public categories to labels of sensitive ones.
        names: names of the sensitive categories.

    Raises:
        UserError: if no category matches.
    """
    if not matches:
        raise unmatched(config)
    missing = [name for label, name in enumerate(names) if label not in matches.values()]
    if missing:
        warnings.warn(
            f"selection.names: no public category matches {', '.join(missing[:5])}{'…' if missing[5:] else ''}: "
            f"{len(missing)} of {len(names)} sensitive categories will have no image",
            stacklevel=2,
        )


def check_files(setup: Setup) -> None:
    """Check the files and the key that the configuration gives, before any budget is spent.

    Raises:
        UserError: if one cannot be used.
    """
    config, settings = setup.config, setup.config.evaluate
    if config.privacy.insecure_key is not None:
        RunKey.create_or_load("", config.privacy.insecure_key)  # only checks a fixed key, writes nothing
    if settings.word_vectors is not None and "evaluate" in config.stages:
        load_word_vectors(settings.word_vectors, setup.sources.public.class_names)  # raises if they are of no use
    if settings.inception_weights is not None:
        setup.inception  # noqa: B018 (raises if it is another file)


def check_semantics(config: Experiment, *, rows: int, categories: int) -> None:
    """Check that there are enough public categories for the query and the selection.

    Args:
        rows: number of sensitive categories.
        categories: number of public categories.

    Raises:
        UserError: if there are too few.
    """
    if not CHOOSING & set(config.stages):
        return
    if config.query.semantics > categories:
        raise UserError(
            f"query.semantics: got {config.query.semantics}; allowed is at most {categories}, the number of categories "
            f"of '{config.public.name}'."
        )
    rows = rows if config.query.per_category else 1
    if categories < rows:
        raise UserError(
            f"public: '{config.public.name}' has {categories} categories, but each of the {rows} sensitive ones needs "
            "one of its own. Give a public set with more categories, or query.per_category=false."
        )
    count = config.selection.semantics or config.query.semantics
    if rows * count > categories:
        raise UserError(
            f"selection.semantics: {count} public categories for each of {rows} sensitive ones are {rows * count}, but "
            f"'{config.public.name}' has {categories}. Allowed is at most {categories // rows}."
        )
