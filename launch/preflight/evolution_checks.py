"""Mistakes in the settings of Private Evolution that can be found before any image is read."""

from __future__ import annotations

from typing import Any

from configs.errors import UserError
from configs.evolution import Evolution
from configs.schema import Experiment
from evolution.api import Surroundings, by_round
from evolution.embedding import FEATURES
from evolution.resampling import check_average
from launch.components import naming
from launch.run.setup import Setup
from lightning_modules.registries import LEARNERS


def check_evolution(setup: Setup) -> None:
    """Check that Private Evolution is possible with these settings. Opens no image, and asks the API for none.

    Raises:
        UserError: with the key.
    """
    config, names = setup.config, tuple(setup.sources.sensitive.class_names)
    if "evolve" not in config.stages:
        return
    check_features(setup)
    check_candidates(config.evolution)
    check_labelling(config, len(names))
    if config.evolution.reuse is None:  # the candidates of another run are counted when they are read
        each = config.evolution.population
        check_average(config.evolution, each * len(names) if config.evolution.vote_for == "any" else each)
    check_api(config, names)


def check_features(setup: Setup) -> None:
    """Check that the features by which candidates are compared exist, and their weights."""
    features = setup.config.evolution.features
    unknown = [name for name in features if name not in FEATURES]
    if unknown or not features:
        got = f"there is no '{unknown[0]}'" if unknown else "give at least one"
        raise UserError(f"evolution.features: {got} (there are: {', '.join(FEATURES)}).")
    if "inception" in features and not setup.config.evaluate.download:  # what is downloaded is not fetched yet
        path, reason = setup.inception
        if path is None:
            raise UserError(f"evolution.features: inception is not available: {reason}.")


def check_candidates(settings: Evolution) -> None:
    """Check keys that limit each other."""
    if settings.neighbours > settings.population:
        raise UserError(
            f"evolution.neighbours: got {settings.neighbours}; allowed is at most evolution.population = "
            f"{settings.population}."
        )
    if settings.degree_last > settings.degree_first:
        raise UserError(
            f"evolution.degree_last: got {settings.degree_last:g}; allowed is at most evolution.degree_first = "
            f"{settings.degree_first:g}: variations get smaller from round to round."
        )


def check_labelling(config: Experiment, categories: int) -> None:
    """Check that out-of-class candidates get labels, and that votes have categories to decide between.

    Args:
        categories: number of sensitive categories.
    """
    settings, voted = config.evolution, "publish_voted" in config.stages
    if settings.share_at_random > 0 and not (voted or "publish_taught" in config.stages):
        raise UserError(
            "evolution.share_at_random: images of any category need a teacher or votes to label them "
            "(method=sim_pe_taught or sim_pe_voted)."
        )
    if voted and settings.vote_for != "any":
        raise UserError(
            "evolution.vote_for: publish_voted labels images by the votes of every category: give "
            "evolution.vote_for=any (method=sim_pe_voted has it)."
        )
    if voted and categories < 2:
        raise UserError(
            "publish_voted: there is only one sensitive category, so votes have nothing to decide. Use method=sim_pe."
        )
    count, share = config.synthesize.count, settings.share_at_random
    labelled = count - round(count * share)
    if share and labelled < categories:
        raise UserError(
            f"evolution.share_at_random: got {share:g}, which leaves {labelled} of synthesize.count = {count} images "
            f"that are made for one of {categories} categories. Allowed is a share that leaves one of each."
        )


def check_api(config: Experiment, names: tuple[str, ...]) -> None:
    """Check that every round has an API. Builds the APIs as a run would, but without images."""
    settings = config.evolution
    then_from = getattr(settings.api, "then_from", 0)
    if then_from >= settings.rounds:
        raise UserError(
            f"evolution.api.then_from: got {then_from}, but rounds are counted from 0 and evolution.rounds = "
            f"{settings.rounds}: the second API would never be used. Allowed is less than evolution.rounds."
        )

    def later() -> Any:
        raise AssertionError("used before the run has it")

    with naming("evolution.api"):
        api = by_round(settings.api, Surroundings(config.image, names, alike={}, public=later, model=later))
    if any(getattr(api(r).api, "needs_model", False) for r in range(settings.rounds)):
        check_model(config)


def check_model(config: Experiment) -> None:
    """Check that a model that varies images is trained before the first candidates are made."""
    stages = list(config.stages)
    if "pretrain" not in stages or stages.index("pretrain") > stages.index("evolve"):
        raise UserError("evolution.api: 'model' needs the stage pretrain before evolve (method=pe has it).")
    if not hasattr(LEARNERS.implementation(config.generator.name), "vary"):
        raise UserError("evolution.api: 'model' needs a diffusion model. Set generator.name=diffusion.")
