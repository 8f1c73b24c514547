"""Keys: ranges in words and as a test."""

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.components.sources import DigitsConfig
from configs.evolution import Evolution
from configs.fields import allowed, component, key, section, within
from configs.loading import typed
from configs.schema import Classifier, Experiment, Run

LIMITS = st.fixed_dictionaries(
    {},
    optional={name: st.integers(-5, 5) for name in ("above", "at_least", "below", "at_most")},
)


def metadata(**limits):
    return (
        dataclasses.make_dataclass("Keys", [("one", float, key(0.0, "a key", **limits))])
        .__dataclass_fields__["one"]
        .metadata
    )


@given(LIMITS, st.floats(-6, 6) | st.integers(-6, 6))
def test_the_words_say_what_the_range_is(limits, value):
    """The words, read as a condition on the value, agree with the test."""
    words = allowed(metadata(**limits))
    conditions = [f"value {condition}" for condition in words.split(" and ") if condition]
    assert within(value, metadata(**limits)) == all(eval(condition, {"value": value}) for condition in conditions)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_lies_in_no_range(value):
    assert not within(value, metadata())


def test_null_is_for_the_type_to_refuse():
    assert within(None, metadata(above=0))


def test_choices_are_listed_and_nothing_else_will_do():
    choices = metadata(choices=(1, 3))
    assert allowed(choices) == "one of 1, 3"
    assert within(3, choices) and not within(2, choices) and not within("3", choices)


def test_a_list_is_no_other_key_s_list():
    keys = dataclasses.make_dataclass("Keys", [("names", list, key(["a"], "names"))])
    first = keys()
    first.names.append("b")
    assert keys().names == ["a"]


def test_sections_and_components_start_from_their_defaults():
    inner = dataclasses.make_dataclass("Inner", [("one", int, key(1, "a key"))])
    outer = dataclasses.make_dataclass(
        "Outer", [("part", dict, component("source", "digits", "a part")), ("inner", inner, section(inner, "a group"))]
    )
    first = outer()
    assert first.part == DigitsConfig() and first.inner == inner(1)
    assert outer().part is not first.part and outer().inner is not first.inner


@pytest.mark.parametrize("kind", [Experiment, Classifier, Evolution, Run])
def test_a_section_by_itself_is_what_a_file_that_says_nothing_gives(kind: type) -> None:
    assert kind() == typed(kind, {}, "")
