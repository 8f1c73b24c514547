"""The settings that are proposed, over everything that a data set and a machine can be."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from configs.components.sources import GlyphsConfig
from configs.loading import load
from configs.schema import Image
from datamodules.sources import SOURCES
from launch.components import new_generator
from launch.proposal.choices import LARGEST_RATE, SHARES, choices, private_steps, rounded, usual_pace
from launch.proposal.facts import GLYPH_CATEGORIES, Facts
from launch.proposal.looking import SIZES

DIGITS = Facts(1437, 10, 8, 1, 10.0, 30.0)
facts = st.builds(
    Facts,
    records=st.integers(2, 10**7),
    categories=st.integers(1, 300),
    resolution=st.one_of(st.sampled_from(SIZES), st.integers(4, 96).map(lambda n: 4 * (n // 4))),
    channels=st.sampled_from([1, 3]),
    epsilon=st.floats(0.1, 100),
    minutes=st.floats(0.5, 5000),
    public_categories=st.integers(1, 1000),
    gpu=st.booleans(),
)


def settings_of(known: Facts) -> dict[str, object]:
    return {choice.key: choice.value for choice in choices(known, usual_pace(known))}


def loaded(known: Facts, folder: Path):
    """The configuration that the choices make."""
    tree: dict[str, dict[str, object]] = {"image": {"resolution": known.resolution, "channels": known.channels}}
    for key, value in settings_of(known).items():
        section, _, name = key.partition(".")
        tree.setdefault(section, {})[name] = value
    (folder / "x.yaml").write_text(yaml.safe_dump(tree))
    return load(str(folder / "x.yaml"))


@given(known=facts)
def test_every_choice_is_a_configuration_whose_rate_and_time_are_kept(
    known: Facts, tmp_path_factory: pytest.TempPathFactory
) -> None:
    config = loaded(known, tmp_path_factory.mktemp("x"))
    assert config.finetune.batch_size <= max(1, LARGEST_RATE * known.records)
    assert config.synthesize.batch_size <= config.synthesize.count
    pace = usual_pace(known)
    draws = known.minutes * 60 * SHARES["finetune"] / pace.finetune
    least = 10 * min(256, max(1, LARGEST_RATE * known.records))
    assert config.finetune.steps * config.finetune.batch_size <= max(1.1 * draws, least)


@pytest.mark.parametrize("resolution", [8, 12, 16, 20, 28, 32, 48, 64, 30, 13])
@pytest.mark.parametrize("gpu", [False, True])
def test_the_network_fits_the_resolution(resolution: int, gpu: bool, tmp_path: Path) -> None:
    config = loaded(replace(DIGITS, resolution=resolution, gpu=gpu), tmp_path)
    model = new_generator(config, 10)
    assert sum(parameter.numel() for parameter in model.parameters()) < 5e6


@given(minutes=st.floats(1, 1000))
def test_more_time_is_more_work(minutes: float) -> None:
    less, more = (settings_of(replace(DIGITS, records=60000, minutes=time)) for time in (minutes, 2 * minutes))
    for key in ("classifier.steps", "pretrain.steps"):
        assert more[key] >= less[key]
    work = [found["finetune.steps"] * found["finetune.batch_size"] for found in (less, more)]
    assert work[1] >= 0.9 * work[0]


@given(draws=st.floats(1, 1e9), records=st.integers(2, 10**7))
def test_private_steps(draws: float, records: int) -> None:
    steps, batch = private_steps(draws, records)
    assert 10 <= steps <= 300 and 1 <= batch <= max(1, records // 4)


@given(st.floats(1, 1e12))
def test_two_digits(value: float) -> None:
    number = rounded(value)
    assert 0.9 * value - 1 <= number <= value and len(str(number).rstrip("0")) <= 2


def test_noise_on_the_query_is_small_against_a_category() -> None:
    many, few = settings_of(replace(DIGITS, records=60000)), settings_of(DIGITS)
    assert many["query.semantics"] > few["query.semantics"] == 1
    assert many["query.budget_share"] < few["query.budget_share"]


def test_the_number_of_public_characters() -> None:
    assert len(SOURCES.build(GlyphsConfig(), Image(8, 1)).class_names) == GLYPH_CATEGORIES
    assert math.isclose(sum(SHARES.values()), 0.91)
