"""What commands on an experiment share: its name, the overrides, and a `--help` that shows every key."""

from __future__ import annotations

import argparse
import dataclasses
import warnings
from collections.abc import Callable
from typing import Any

from configs.errors import UserError
from configs.fields import expected
from configs.loading import load
from configs.presets import made_for, preset_names, read_preset
from configs.registry import Catalogue
from configs.schema import Experiment

Command = Callable[[argparse.Namespace], int | None]


def add_experiment(commands: Any, name: str, help: str, description: str, command: Command) -> argparse.ArgumentParser:
    """A sub-command that takes an experiment and overrides; `--help` lists the experiment's keys."""
    parser = commands.add_parser(
        name, help=help, description=description, add_help=False, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "experiment", nargs="?", help=f"a preset ({', '.join(preset_names('experiments'))}) or a YAML file"
    )
    parser.add_argument(
        "overrides", nargs="*", metavar="key=value", help="changes to the preset, such as privacy.epsilon=1"
    )
    parser.add_argument(
        "-h", "--help", action="store_true", help="show this help and, if an experiment is given, all its keys"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON on standard output")
    parser.set_defaults(command=lambda options: dispatch(parser, command, options))
    return parser


def dispatch(parser: argparse.ArgumentParser, command: Command, options: argparse.Namespace) -> int | None:
    """Show the help if it was asked for, else do the command."""
    if options.help:
        print(parser.format_help())
        if options.experiment:
            print(describe(read(options)))
        return 0
    if not options.experiment:
        raise UserError(
            f"which experiment? There are: {', '.join(preset_names('experiments'))}. Try: {parser.prog} demo"
        )
    return command(options)


def read(options: argparse.Namespace) -> Experiment:
    """The configuration that a command line asks for; a warning if the preset was made for other images."""
    config = load(options.experiment, options.overrides)
    own = made_for(read_preset("experiments", options.experiment))
    if own and config.sensitive.name not in own:
        warnings.warn(
            f"the settings of '{options.experiment}' are for {', '.join(own)}, not for sensitive.name="
            f"{config.sensitive.name}; `privimage init FOLDER` writes settings for your images",
            stacklevel=2,
        )
    return config


def describe(config: Experiment) -> str:
    """Every key with its value, its type and range, and its help."""
    return f"keys of '{config.run.name}' (value here; allowed; meaning):\n" + "\n".join(section_lines(config, ""))


def section_lines(config: Any, path: str) -> list[str]:
    """The keys of one dataclass, plain keys first, then its sections."""
    lines: list[str] = []
    nested: list[str] = []
    for field in dataclasses.fields(config):
        value, help = getattr(config, field.name), field.metadata.get("help", "")
        here = f"{path}{field.name}"
        if dataclasses.is_dataclass(value):
            registry = Catalogue.all.get(field.metadata.get("registry", ""))
            choice = f" [{here}.name: {', '.join(registry.names())}]" if registry else ""
            nested += ["", f"{here}: {help}{choice}", *section_lines(value, here + ".")]
        elif here.endswith(".name") and not help:
            lines.append(f"  {here}={value}")
        else:
            shown = "null" if value is None else value
            lines += [f"  {here}={shown}", f"      {expected(type(config), field)}; {help}"]
    return lines + nested
