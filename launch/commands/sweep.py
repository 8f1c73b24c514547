"""`privimage sweep`: one experiment over the values of any key."""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path
from typing import Any

from configs.errors import UserError
from launch.commands.experiment import add_experiment
from launch.commands.studies import add_options, check_options, do

DESCRIPTION = """\
Runs an experiment for every value of a key and puts the results side by side, such as

  privimage sweep demo selection.semantics=1,2,4 --seeds 3
  privimage sweep demo generator.network.base_channels=8,16,24 privacy.epsilon=1

A key with several values separated by commas is swept (several such keys: every combination); put values that
contain commas in brackets or quotes. Give the same command again to resume after an interruption.

Tables and page go to RUN.ROOT/NAME/comparison.{csv,md,html}. They are NOT private. Choosing a value by them spends
privacy that no ε here covers: tune on public or held-out data.
"""


def add(commands: Any) -> None:
    """Add the command."""
    parser = add_experiment(commands, "sweep", "run one experiment over values of a key", DESCRIPTION, command)
    add_options(parser, "sweep")


def command(options: argparse.Namespace) -> int:
    """Find the swept keys, run every combination, compare."""
    check_options(options)
    from launch.studies.study import Cell

    if any(word.startswith("run.name=") for word in options.overrides):
        raise UserError("run.name: sweep names its runs itself; use --name for their folder.")
    swept = {key: values for word in options.overrides for key, values in [split(word)] if len(values) > 1}
    options.overrides = [word for word in options.overrides if len(split(word)[1]) == 1]
    if not swept:
        raise UserError("which key? Give one with several values, such as selection.semantics=1,2,4.")
    empty = [key for key, values in swept.items() if not all(values)]
    if empty:
        raise UserError(f"{empty[0]}: a value between or after the commas is missing; write null for no value.")
    if "run.seed" in swept:
        raise UserError("run.seed: sweep chooses this itself; use --seeds.")
    last = list(swept)[-1]
    cells = []
    for values in itertools.product(*swept.values()):
        words = tuple(f"{key}={value}" for key, value in zip(swept, values, strict=True))
        group = ", ".join(words[:-1]) or Path(options.experiment).stem
        label = ",".join(words)
        cells += [Cell(group, as_number(values[-1]), seed, words, label) for seed in range(options.seeds)]
    return do(options, "sweep", cells, group_name="run", x_name=last)


def split(word: str) -> tuple[str, list[str]]:
    """A key and its values, which commas separate outside of brackets and quotes."""
    key, _, text = word.partition("=")
    values, depth, quote, here = [], 0, "", ""
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in "[{(":
            depth += 1
        elif character in ")}]":
            depth -= 1
        elif character == "," and depth == 0:
            values.append(here)
            here = ""
            continue
        here += character
    return key, [*values, here]


def as_number(text: str) -> float | str:
    """A value as a number where it is one."""
    try:
        return float(text)
    except ValueError:
        return text
