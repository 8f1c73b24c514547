"""Catalogues and registries: components by name, each with its own keys and what builds it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from configs.errors import UserError
from configs.registry import Catalogue, Registry


@dataclass
class RoundConfig:
    """A round one.

    With more to say.
    """

    name: str = "round"
    radius: int = 2


@dataclass
class SquareConfig:
    """A square one."""

    name: str = "square"
    side: int = 3


@pytest.fixture
def catalogue() -> Iterator[Catalogue]:
    found = Catalogue("shape")
    for config in (SquareConfig, RoundConfig):
        assert found.add(config) is config
    yield found
    del Catalogue.all["shape"]


@pytest.fixture
def shapes(catalogue: Catalogue) -> Registry[Any]:
    registry: Registry[Any] = Registry(catalogue)

    @registry.register(RoundConfig)
    def round_shape(config: RoundConfig, scale: int) -> int:
        return config.radius * scale

    @registry.register(SquareConfig)
    class Square:
        def __init__(self, config: SquareConfig, scale: int) -> None:
            self.area = (config.side * scale) ** 2

    return registry


def test_the_configuration_s_name_decides_what_is_built(shapes: Registry[Any]) -> None:
    assert shapes.build(RoundConfig(radius=5), 2) == 10
    assert shapes.build(SquareConfig(), scale=2).area == 36
    assert shapes.implementation("square").__name__ == "Square"


def test_each_name_has_its_own_keys_and_summary(catalogue: Catalogue, shapes: Registry[Any]) -> None:
    assert shapes.names() == catalogue.names() == ["round", "square"]
    assert shapes.config("round") is catalogue.config("round") is RoundConfig
    assert [catalogue.summary(name) for name in catalogue.names()] == ["A round one.", "A square one."]


@pytest.mark.parametrize("ask", [Registry.config, Registry.implementation])
def test_a_wrong_name_is_answered_with_the_right_ones(shapes: Registry[Any], ask: Any) -> None:
    with pytest.raises(UserError, match=r"no shape named 'sqare' \(there are: round, square\)\. Did you mean 'square'"):
        ask(shapes, "sqare")
    with pytest.raises(UserError, match=r"there are: round, square\)\.$"):
        ask(shapes, "dodecahedron")


@pytest.mark.parametrize("name", [None, 5, ["round"], {"name": "round"}])
def test_what_is_no_name_is_refused_like_a_wrong_one(catalogue: Catalogue, name: Any) -> None:
    with pytest.raises(UserError, match="there is no shape named"):
        catalogue.config(name)


def test_two_parts_of_one_name_are_a_bug(catalogue: Catalogue, shapes: Registry[Any]) -> None:
    with pytest.raises(ValueError, match="'round' is there twice"):
        catalogue.add(RoundConfig)
    with pytest.raises(ValueError, match="'round' is registered twice"):
        shapes.register(RoundConfig)(lambda config: None)


def test_only_what_the_catalogue_has_can_be_registered(catalogue: Catalogue) -> None:
    @dataclass
    class Another:
        name: str = "round"

    with pytest.raises(ValueError, match="Another is not what the catalogue has under 'round'"):
        Registry(catalogue).register(Another)


def test_a_component_that_nothing_builds_yet_says_what_to_call(catalogue: Catalogue) -> None:
    with pytest.raises(RuntimeError, match=r"call launch\.components\.load"):
        Registry(catalogue).build(RoundConfig())


def test_every_kind_can_be_found(catalogue: Catalogue) -> None:
    assert Catalogue.all["shape"] is catalogue
