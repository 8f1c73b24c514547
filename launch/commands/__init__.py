"""The commands of `privimage`, one module each; a module adds its own arguments.

Importing them is quick: a command imports what takes seconds (torch, Lightning) when it is chosen, and fills the
registries with `launch.components.load`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from difflib import get_close_matches
from importlib.metadata import version

from launch.commands import (
    compare,
    config,
    export,
    init,
    ledger,
    listing,
    preflight,
    prepare,
    run,
    runs,
    submit,
    sweep,
    synthesize,
    verify,
)

COMMANDS = {
    "run": run,
    "init": init,
    "compare": compare,
    "sweep": sweep,
    "submit": submit,
    "preflight": preflight,
    "config": config,
    "list": listing,
    "runs": runs,
    "ledger": ledger,
    "synthesize": synthesize,
    "export": export,
    "verify": verify,
    "prepare": prepare,
}
OVERVIEW = """\
Differentially private image synthesis: a DP semantic query selects public images, a small generator learns them and is
fine-tuned on the sensitive images with DP-SGD. One budget (epsilon, delta) covers everything.

  privimage run demo                         everything on embedded data, a few minutes on a laptop
  privimage run demo privacy.epsilon=1 run.name=less
                                             the same with another budget, in a folder of its own
  privimage run demo --help                  every key of the experiment, with its default and range
  privimage init FOLDER                      a configuration for your own images, which `privimage run` takes
"""


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The options of a command line; overrides may come before and after options such as `-q`."""
    root, commands = parsers()
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words and not words[0].startswith("-") and words[0] not in COMMANDS:
        near = get_close_matches(words[0], COMMANDS, n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        root.error(f"there is no command '{words[0]}' (there are: {', '.join(COMMANDS)}).{hint}")
    options, rest = root.parse_known_args(words)
    options.words = words
    if rest and hasattr(options, "overrides") and not any(word.startswith("-") for word in rest):
        options.overrides += rest
    elif rest:
        dotted = next((word for word in rest if word.startswith("--") and "." in word), None)
        hint = f"write {dotted[2:].partition('=')[0]}=VALUE" if dotted else f"try: privimage {words[0]} --help"
        commands[words[0]].error(f"unrecognized arguments: {' '.join(rest)}; {hint}")
    return options


def parsers() -> tuple[argparse.ArgumentParser, Mapping[str, argparse.ArgumentParser]]:
    """The argument parser of the program, and that of each command by its name."""
    root = argparse.ArgumentParser(
        prog="privimage", description=OVERVIEW, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    root.add_argument("--version", action="version", version=f"privimage {version('privimage')}")
    commands = root.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for module in COMMANDS.values():
        module.add(commands)
    return root, commands.choices
