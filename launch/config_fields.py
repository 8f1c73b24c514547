"""What the dataclasses of a configuration hold: their keys, and the types of these in words."""

from __future__ import annotations

import dataclasses
import typing
from typing import Any


def section_type(kind: type, field: dataclasses.Field[Any]) -> Any:
    """The type of a field, with its annotation evaluated."""
    return typing.get_type_hints(kind)[field.name]


def type_name(kind: type, field: dataclasses.Field[Any]) -> str:
    """The type of a key in words."""
    words = {
        int: "a whole number",
        float: "a number",
        str: "text",
        bool: "true or false",
        list: "a list",
        dict: "names and values",
    }
    options = alternatives(section_type(kind, field))
    names = [str(name) for option in options if typing.get_origin(option) is typing.Literal for name in option.__args__]
    plain = next(option for option in options if typing.get_origin(option) is not typing.Literal)
    word = words.get(typing.get_origin(plain) or plain, getattr(plain, "__name__", str(plain)))
    word = " or ".join([*names, word])
    return f"{word} or null," if type(None) in options else word


def alternatives(annotation: Any) -> tuple[Any, ...]:
    """The types that a union allows, as a tuple; any other type alone."""
    return typing.get_args(annotation) if typing.get_origin(annotation) is typing.Union else (annotation,)


def first_key(kind: type, field: dataclasses.Field[Any]) -> str:
    """The name of the first key in a section, to show how a key is written."""
    return dataclasses.fields(section_type(kind, field))[0].name


def walk(config: Any, path: str = "") -> list[tuple[str, Any]]:
    """Every key of a configuration with its value, in order: `[("privacy.epsilon", 10.0), …]`."""
    found: list[tuple[str, Any]] = []
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            found += walk(value, f"{path}{field.name}.")
        elif not (isinstance(value, dict) and "registry" in field.metadata):
            found.append((f"{path}{field.name}", value))
    return found
