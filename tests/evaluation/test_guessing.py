"""Guessing: what it has, and when an accuracy is better."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.guessing import Guessing


@settings(max_examples=30)
@given(labels=st.lists(st.integers(0, 4), min_size=1, max_size=50))
def test_the_largest_category_is_at_least_chance(labels: list[int]) -> None:
    found = Guessing.on(np.array(labels), 5)
    assert found.chance == 0.2 <= found.largest == max(labels.count(label) for label in labels) / len(labels)


@pytest.mark.parametrize(("accuracy", "better"), [(0.5, False), (0.509, False), (0.511, True), (0.49, False)])
def test_two_standard_errors_are_luck(accuracy: float, better: bool) -> None:
    coin = Guessing.on(np.arange(10_000) % 2, 2)  # standard error 0.005
    assert coin.beaten_by([0.1, accuracy]) == better


def test_a_rare_category_makes_chance_easy_to_beat_and_the_largest_hard() -> None:
    unbalanced = Guessing.on(np.repeat([0, 1], [95, 5]), 2)
    assert unbalanced.largest == 0.95 and not unbalanced.beaten_by([0.95, 0.9]) and unbalanced.beaten_by([1.0])


def test_guesses_at_random_beat_it_hardly_ever() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 4, 400)
    guessing = Guessing.on(labels, 4)
    accuracies = [(random.integers(0, 4, 400) == labels).mean() for _ in range(1000)]
    assert np.mean([guessing.beaten_by([accuracy]) for accuracy in accuracies]) < 0.05
