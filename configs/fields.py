"""Configuration keys: dataclass fields that carry their help text and the range of values they allow."""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Sequence
from functools import cache
from typing import Any

from configs.registry import Catalogue


def key(
    default: Any,
    help: str,
    *,
    above: float | None = None,
    at_least: float | None = None,
    below: float | None = None,
    at_most: float | None = None,
    choices: Sequence[Any] | None = None,
) -> Any:
    """A configuration key with its default, one line of help and, for numbers, the range of allowed values."""
    limits = {"above": above, "at_least": at_least, "below": below, "at_most": at_most}
    metadata = {"help": help, "limits": {k: v for k, v in limits.items() if v is not None}, "choices": choices}
    if isinstance(default, (list, dict)):
        return dataclasses.field(default_factory=default.copy, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def section(kind: type, help: str) -> Any:
    """A nested group of keys."""
    return dataclasses.field(default_factory=kind, metadata={"help": help})


def component(registry: str, default: str, help: str) -> Any:
    """A part picked by its `name` from the catalogue of that kind; the name decides which keys it has."""
    return dataclasses.field(
        default_factory=lambda: Catalogue.all[registry].config(default)(),
        metadata={"help": help, "registry": registry, "default": default},
    )


def allowed(metadata: Any) -> str:
    """The range of a key in words, or '' if any value of its type is allowed."""
    if metadata.get("choices"):
        return "one of " + ", ".join(map(str, metadata["choices"]))
    words = {"above": ">", "at_least": ">=", "below": "<", "at_most": "<="}
    return " and ".join(
        f"{words[name]} {int(limit) if limit == int(limit) else limit}"
        for name, limit in metadata.get("limits", {}).items()
    )


def expected(kind: type, field: dataclasses.Field[Any]) -> str:
    """What may be given for a key, in words: its type and range."""
    limits = allowed(field.metadata)
    apart = ", " if limits.startswith("one of") or type(None) in alternatives(section_type(kind, field)) else " "
    return apart.join(filter(None, [type_name(kind, field), limits]))


def within(value: Any, metadata: Any) -> bool:
    """Whether a value is in the range of its key; NaN and infinity never are."""
    if value is None:
        return True
    if metadata.get("choices") and value not in metadata["choices"]:
        return False
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return True
    if not math.isfinite(value):
        return False
    limits: dict[str, float] = metadata.get("limits", {})
    return (
        value > limits.get("above", -math.inf)
        and value >= limits.get("at_least", -math.inf)
        and value < limits.get("below", math.inf)
        and value <= limits.get("at_most", math.inf)
    )


def section_type(kind: type, field: dataclasses.Field[Any]) -> Any:
    """The type of a field, with its annotation evaluated."""
    return _types(kind)[field.name]


@cache
def _types(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


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
    return f"{word} or null" if type(None) in options else word


def alternatives(annotation: Any) -> tuple[Any, ...]:
    """The types that a union allows; for any other type, a tuple of just that type."""
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
