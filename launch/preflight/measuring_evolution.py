"""Estimates of the time and memory of Private Evolution, from a few candidates. Touches no sensitive data."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from configs.schema import Experiment
from evolution.api import Checked, by_round
from evolution.nearest import nearest
from evolution.samples import Samples
from launch.components import naming, new_classifier
from launch.preflight.measuring import Estimate, Measurement, batch, extrapolate, median_seconds
from launch.stages.evolution.setting import imagined

TRIED = 200  # candidates that are made to see how long they take


def measure_evolution(asked: Measurement) -> Estimate:
    """Measure how one process makes candidates with each API, extracts their features and compares them.

    An API may be slower in one category than in another, and Inception is slower than the features measured here.
    """
    config, settings = asked.config, asked.config.evolution
    if settings.reuse is not None:
        return Estimate("evolve", 0.0, 0, f"taken over from '{settings.reuse}'")
    api, samples = tried(asked)
    classifier = new_classifier(config, len(asked.public.class_names)).to(asked.device)
    records = asked.n if settings.vote_for == "any" else asked.n // asked.classes
    rivals = settings.population * (asked.classes if settings.vote_for == "any" else 1)
    rng = np.random.default_rng(0)

    def work(maker: Checked) -> None:
        for _ in range(1 + settings.look_ahead):
            varied = maker.vary(samples, settings.degree_first, rng)
            features = classifier.features(torch.from_numpy(varied.images).to(asked.device))
        nearest(features.new_zeros(records, features.shape[1]), features)
        if settings.smooth > 1:
            nearest(features, features.new_zeros(rivals, features.shape[1]), min(settings.smooth, rivals), exact=False)

    makers = [api(number) for number in range(settings.rounds)]
    measured = {maker.name: median_seconds(partial(work, maker)) for maker in {m.name: m for m in makers}.values()}
    images, _ = batch(asked.public, len(samples), asked.device)
    once, _ = median_seconds(lambda: classifier.features(images))
    seconds = sum(measured[maker.name][0] for maker in makers) * settings.population * asked.classes / len(samples)
    return Estimate(
        "evolve",
        seconds + once * asked.n / len(samples),
        max(peak for _, peak in measured.values()),
        f"{settings.rounds} rounds of {settings.population} candidates a category, {asked.n} images",
    )


def measure_rendering(stage: str, count: Callable[[Experiment, int], int], asked: Measurement) -> Estimate:
    """Measure how images similar to the last candidates are made.

    Args:
        stage: name of the stage.
        count: from the configuration and the number of categories to the number of images.
    """
    render, size = rendering(asked)
    images = count(asked.config, asked.classes)
    return extrapolate(stage, render, rounds=images / size, basis=f"{images} images")


def measure_labelling(stage: str, asked: Measurement) -> Estimate:
    """Measure how images similar to the last candidates are made, and each is compared with all of those."""
    settings, (render, size) = asked.config.evolution, rendering(asked)
    classifier = new_classifier(asked.config, len(asked.public.class_names)).to(asked.device)
    images, candidates = asked.config.synthesize.count * settings.oversample, settings.population * asked.classes

    def work() -> None:
        features = classifier.features(torch.from_numpy(render().images).to(asked.device))
        nearest(
            features, features.new_zeros(candidates, features.shape[1]), min(settings.smooth, candidates), exact=False
        )

    return extrapolate(stage, work, rounds=images / size, basis=f"{images} images, {candidates} candidates")


def rendering(asked: Measurement) -> tuple[Callable[[], Samples], int]:
    """A function that makes a few images similar to the last candidates, and their number."""
    settings, rng = asked.config.evolution, np.random.default_rng(0)
    api, samples = tried(asked)
    last, degree = api(settings.rounds - 1), settings.degree_rendered or settings.degree_last
    return lambda: last.vary(samples, degree, rng), len(samples)


def tried(asked: Measurement) -> tuple[Callable[[int], Checked], Samples]:
    """A function from the number of a round to its API, and a few candidates."""
    names, settings = asked.class_names, asked.config.evolution
    with naming("evolution.api"):
        api = by_round(settings.api, imagined(asked.config, asked.public, names, asked.device))
    return api, api(0).random(names[0], min(settings.population, TRIED), np.random.default_rng(0))
