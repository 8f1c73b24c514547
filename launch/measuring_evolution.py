"""What Private Evolution will take, by a few candidates made of nothing sensitive."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from evaluation.controls import named_categories
from evolution.api import Surroundings, by_round
from evolution.nearest import nearest
from launch.context import new_classifier, new_generator
from launch.data import naming, sensitive_source
from launch.measuring import Estimate, Measurement, batch, extrapolate, median_seconds


def measure_evolution(asked: Measurement) -> Estimate:
    """Candidates made, looked at and compared by one process; an API may be slower in one category than in another."""
    config, names = asked.config, sensitive_source(asked.config).class_names
    settings, rng = config.evolution, np.random.default_rng(0)
    surroundings = imagined(asked, names)
    with naming("evolution.api"):
        api = by_round(settings.api, surroundings)(0)
    classifier = new_classifier(config, len(asked.public.class_names)).to(asked.device)
    size = min(settings.population, 200)
    samples = api.random(names[0], size, rng)

    def work() -> None:
        for _ in range(1 + settings.look_ahead):
            varied = api.vary(samples, settings.degree_first, rng)
            features = classifier.features(torch.from_numpy(varied.images))
        nearest(features.new_zeros(asked.n * size // settings.population // asked.classes, features.shape[1]), features)

    candidates = settings.rounds * settings.population * asked.classes
    images, _ = batch(asked.public, size, torch.device("cpu"))
    seconds, _ = median_seconds(lambda: classifier.features(images))
    basis = f"{settings.rounds} rounds of {settings.population} candidates a category, {asked.n} images"
    return extrapolate("evolve", work, rounds=candidates / size, serial=seconds * asked.n / size, basis=basis)


def imagined(asked: Measurement, names: Sequence[str]) -> Surroundings:
    """What an API is given, with a model that has learnt nothing and categories by name."""
    found = named_categories(asked.config.selection.names, asked.public.class_names, names)
    alike = {
        name: tuple(asked.public.class_names[i] for i, row in found.items() if names[row] == name) for name in names
    }
    return Surroundings(
        image=asked.config.image,
        class_names=tuple(names),
        alike=alike,
        public=lambda: asked.public,
        model=lambda: (new_generator(asked.config, asked.classes).to(asked.device), True),
    )
