"""What a comparison of private runs says they cost together."""

from __future__ import annotations

import re

from accounting.composition import epsilon
from accounting.mechanisms import GaussianQuery, Mechanism, SampledGaussian
from accounting.statements import epsilon_text
from evaluation.comparison_statistics import Entry
from launch.studies.comparison_files import together

QUERY = GaussianQuery(name="semantic query", noise_multiplier=2.0, sensitivity=1.0)
TRAINING = SampledGaussian(name="dp-sgd", noise_multiplier=1.0, sensitivity=1.0, sampling_rate=0.01, steps=100)


def entry(seed: int, **mechanisms: Mechanism) -> Entry:
    return Entry(group="method", x=1.0, seed=seed, epsilon=1.0, delta=1e-5, scores={}, mechanisms=mechanisms)


def said(*entries: Entry) -> float:
    return float(re.search(r"is given ε = ([\d.]+)", together(entries)).group(1))  # type: ignore[union-attr]


def test_an_answer_that_was_taken_over_counts_once() -> None:
    runs = entry(0, asked=QUERY, one=TRAINING), entry(1, asked=QUERY, two=TRAINING)
    assert said(*runs) == float(epsilon_text(epsilon([QUERY, TRAINING, TRAINING], 1e-5, "rdp")))


def test_answers_of_their_own_all_count() -> None:
    runs = entry(0, a=QUERY, one=TRAINING), entry(1, b=QUERY, two=TRAINING)
    assert said(*runs) == float(epsilon_text(epsilon([QUERY, QUERY, TRAINING, TRAINING], 1e-5, "rdp")))
    assert said(*runs) > said(runs[0])
