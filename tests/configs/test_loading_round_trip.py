"""Configurations survive being written, read and typed, for all values that their keys allow."""

from __future__ import annotations

import copy
import dataclasses
import json
import math
import typing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from configs.fields import walk, within
from configs.loading import differences, load, to_yaml
from configs.schema import Experiment

DEMO = load("demo")
HEUN = load("demo", ["generator.sampler.name=heun"])
KEYS = [path for path, _ in walk(DEMO)]
PRINTABLE = st.characters(codec="utf-8", exclude_categories=("C", "Z")) | st.just(" ")
ODD = [
    "1e5",
    "1:30",
    "a #b",
    "???",
    "${",
    "${run.name}",
    "\\${oc.env:HOME}\\",
    "007",
    "2024_01",
    "null",
    "yes",
    "~",
    "nan",
    "a: b",
    "# a",
    "[a",
    "'",
    '"',
    "\\",
]


def value_for(kind: type, field: dataclasses.Field[Any]) -> st.SearchStrategy[Any]:
    """Values that a key allows."""
    annotation = typing.get_type_hints(kind)[field.name]
    options = typing.get_args(annotation) if typing.get_origin(annotation) is typing.Union else (annotation,)
    words = [word for option in options if typing.get_origin(option) is typing.Literal for word in option.__args__]
    options = [option for option in options if typing.get_origin(option) is not typing.Literal]
    if field.metadata["choices"]:
        return st.sampled_from(field.metadata["choices"])
    limits = field.metadata["limits"]
    low = limits.get("at_least", limits.get("above", -(10**6)))
    high = limits.get("at_most", limits.get("below", 10**6))
    text = st.text(PRINTABLE, min_size=1, max_size=12) | st.sampled_from(ODD)
    of_type: dict[Any, st.SearchStrategy[Any]] = {
        int: st.integers(math.ceil(low), math.floor(high)),
        float: st.floats(low, high),
        bool: st.booleans(),
        str: text,
        type(None): st.none(),
        list[str]: st.lists(text, max_size=3),
        list[int]: st.lists(st.integers(-9, 9), max_size=3),
    }
    named = [st.sampled_from(words)] if words else []
    return st.one_of([*(of_type[option] for option in options), *named]).filter(
        lambda value: within(value, field.metadata)
    )


@st.composite
def experiments(draw: st.DrawFn) -> Experiment:
    """The demo with some keys changed to anything they allow."""
    config = copy.deepcopy(draw(st.sampled_from([DEMO, HEUN])))
    for path in draw(st.lists(st.sampled_from([path for path, _ in walk(config)]), max_size=6, unique=True)):
        *parents, last = path.split(".")
        node: Any = config
        for parent in parents:
            node = getattr(node, parent)
        field = type(node).__dataclass_fields__[last]
        if path != "method" and not (last == "name" and path != "run.name"):  # a name picks other keys
            setattr(node, last, draw(value_for(type(node), field)))
    return config


@pytest.mark.slow
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(experiments())
def test_a_written_configuration_reads_back_the_same(tmp_path: Path, config: Experiment) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(to_yaml(config))
    again = load(str(path))
    assert again == config and differences(again, config) == []


@pytest.mark.slow
@settings(max_examples=30)
@given(st.data())
def test_overrides_say_what_they_set(data: st.DataObject) -> None:
    path = data.draw(st.sampled_from([path for path in KEYS if path != "method" and not path.endswith(".name")]))
    *parents, last = path.split(".")
    node: Any = DEMO
    for parent in parents:
        node = getattr(node, parent)
    value = data.draw(value_for(type(node), type(node).__dataclass_fields__[last]))
    config = load("demo", [f"{path}={json.dumps(value, ensure_ascii=False)}"])
    assert dict(walk(config)) == {**dict(walk(DEMO)), path: value}
