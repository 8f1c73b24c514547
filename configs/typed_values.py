"""What a value that was typed on the command line means: text as it was typed, unless it is plainly something else."""

from __future__ import annotations

import os
import re
from typing import Any, ClassVar

import yaml

from configs.errors import UserError

WORDS = {"null": None, "true": True, "True": True, "false": False, "False": False}
INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
NUMBER = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?|[-+]?\.?inf|\.?nan")
GROUPS = ("[", "{", "'", '"')


class _Plain(yaml.SafeLoader):  # type: ignore[misc]
    """YAML whose plain words are read by `scalar`, so that none of them is an octal number, a time or a date."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}


_Plain.add_constructor("tag:yaml.org,2002:str", lambda loader, node: node.value if node.style else scalar(node.value))


def typed_value(path: str, text: str) -> Any:
    """The value of `path=text`.

    A list, a mapping or quoted text is read as YAML, and nothing may follow it. Any other value is the text itself, or
    the number, `true`, `false` or `null` that it spells; a home folder's `~/` is expanded.

    Args:
        path: the key.
        text: what was typed after `=`, not blank.

    Raises:
        UserError: if brackets or quotes do not match.
    """
    given = text.strip()
    if not given.startswith(GROUPS):
        return os.path.expanduser(text) if given.startswith("~/") else scalar(text)
    try:
        node = yaml.compose(given, Loader=_Plain)
        value = yaml.load(given, Loader=_Plain)
    except yaml.YAMLError as error:
        raise UserError(f"{path}: cannot read the value {text!r}. Quote it, or write it as YAML.") from error
    if node.end_mark.index != len(given):
        raise UserError(f"{path}: cannot read {given[node.end_mark.index :]!r} after {given[: node.end_mark.index]!r}.")
    return value


def scalar(text: str) -> Any:
    """The number, `true`, `false` or `null` that a word spells, or the word itself."""
    word = text.strip()
    if word in WORDS:
        return WORDS[word]
    if INTEGER.fullmatch(word):
        return int(word)
    if NUMBER.fullmatch(word):
        return float(word.replace(".inf", "inf").replace(".nan", "nan"))
    return text
