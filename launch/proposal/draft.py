"""A configuration file with comments, written from what was found and chosen."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from configs.loading import escaped
from launch.proposal.choices import Choice

METHOD = "privimage_d"
COLUMN = 32  # where comments begin, if there is room


@dataclass(frozen=True)
class Draft:
    """What a file is made from."""

    name: str
    """Name of the run."""
    remarks: Sequence[str]
    """Sentences at the top."""
    image: Mapping[str, int]
    """Keys of `image`."""
    sensitive: Mapping[str, Any]
    """The source of the sensitive images and its keys."""
    public: Mapping[str, Any]
    """The source of the public images and its keys."""

    def text(self, choices: Sequence[Choice]) -> str:
        """The file as YAML."""
        lines = [f"# {one_line(remark)}" for remark in self.remarks]
        lines += ["", f"method: {METHOD}", f"run: {flow({'name': self.name})}"]
        lines += [f"image: {flow(self.image)}"]
        for section, keys in (("sensitive", self.sensitive), ("public", self.public)):
            lines += [f"{section}:", *(f"  {key}: {flow(value)}" for key, value in keys.items())]
        for section, chosen in itertools.groupby(choices, key=lambda choice: choice.key.partition(".")[0]):
            lines += [f"{section}:", *map(line, chosen)]
        return "\n".join(lines) + "\n"


def one_line(text: str) -> str:
    """A text without what would end a comment, or cannot be written: names of folders may have anything in them."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def line(choice: Choice) -> str:
    """One key of a section, with its reason."""
    text = f"  {choice.key.partition('.')[2]}: {flow(choice.value)}"
    return f"{text.ljust(COLUMN)}  # {choice.reason}" if choice.reason else text


def flow(value: Any) -> str:
    """A value in one line of YAML. Text is quoted unless it is a plain word."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, str):
        plain = value.isidentifier() and value.isascii() and not reserved(value)
        return value if plain else '"' + "".join(map(quoted, escaped(value))) + '"'
    if isinstance(value, Iterable):
        return "[" + ", ".join(map(flow, value)) + "]"
    if isinstance(value, float):
        mantissa, exponent = f"{value!r}".partition("e")[::2]  # YAML reads 1e-07 as text, 1.0e-07 as a number
        return mantissa + ("" if "." in mantissa or not exponent else ".0") + (f"e{exponent}" if exponent else "")
    return json.dumps(value)


def quoted(letter: str) -> str:
    """A character between the quotation marks of YAML."""
    if letter in '"\\':
        return "\\" + letter
    return letter if letter.isprintable() else f"\\U{ord(letter):08x}"


def reserved(word: str) -> bool:
    """Whether YAML reads a word as something else than text."""
    return word.lower() in ("y", "n", "yes", "no", "on", "off", "true", "false", "null", "none", "nan", "inf")
