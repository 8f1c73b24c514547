"""Registries: parts by name, each with its own keys."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from configs.errors import UserError
from configs.registry import Registry


@dataclass
class RoundConfig:
    name: str = "round"
    radius: int = 2


@dataclass
class SquareConfig:
    name: str = "square"
    side: int = 3


@pytest.fixture
def shapes() -> Iterator[Registry]:
    registry = Registry("shape")

    @registry.register(RoundConfig)
    def round_shape(config, scale):
        """A round one.

        With more to say.
        """
        return config.radius * scale

    @registry.register(SquareConfig)
    class Square:
        def __init__(self, config, scale):
            self.area = (config.side * scale) ** 2

    yield registry
    del Registry.all["shape"]


def test_the_configuration_s_name_decides_what_is_built(shapes):
    assert shapes.build(RoundConfig(radius=5), 2) == 10
    assert shapes.build(SquareConfig(), scale=2).area == 36


def test_each_name_has_its_own_keys_and_summary(shapes):
    assert shapes.names() == ["round", "square"]
    assert shapes.config("round") is RoundConfig
    assert shapes.summary("round") == "A round one."
    assert shapes.summary("square") == ""
    assert shapes.implementation("square").__name__ == "Square"


@pytest.mark.parametrize("ask", [Registry.config, Registry.implementation])
def test_a_wrong_name_is_answered_with_the_right_ones(shapes, ask):
    with pytest.raises(UserError, match=r"no shape named 'sqare' \(there are: round, square\)\. Did you mean 'square'"):
        ask(shapes, "sqare")
    with pytest.raises(UserError, match=r"there are: round, square\)\.$"):
        ask(shapes, "dodecahedron")


@pytest.mark.parametrize("name", [None, 5, ["round"], {"name": "round"}])
def test_what_is_no_name_is_refused_like_a_wrong_one(shapes, name):
    with pytest.raises(UserError, match="there is no shape named"):
        shapes.config(name)


def test_two_parts_of_one_name_are_a_bug(shapes):
    with pytest.raises(ValueError, match="'round' is registered twice"):
        shapes.register(RoundConfig)(lambda config: None)


def test_every_kind_can_be_found(shapes):
    assert Registry.all["shape"] is shapes
