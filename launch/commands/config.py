"""`privimage config`: the resolved configuration."""

from __future__ import annotations

import argparse
import dataclasses
import json
from typing import Any

from configs.loading import to_yaml
from launch.commands.experiment import add_experiment, read

DESCRIPTION = """\
Prints the configuration of an experiment after its method, preset and overrides are merged and checked. Save it, change
a few lines, and give its path instead of the experiment's name.
"""


def add(commands: Any) -> None:
    """Add the command."""
    add_experiment(commands, "config", "print the resolved configuration", DESCRIPTION, command)


def command(options: argparse.Namespace) -> None:
    """Print the configuration as YAML or JSON."""
    config = read(options)
    print(
        json.dumps(dataclasses.asdict(config), indent=2) if options.json else to_yaml(config),
        end="\n" if options.json else "",
    )
