"""`privimage list`: everything that can be named in a configuration."""

from __future__ import annotations

import argparse
import json
from typing import Any

import launch.components  # noqa: F401  (registers every component)
from configs.registry import Registry
from launch.config import PRESETS, preset_names

KINDS = {
    "source": "sources (sensitive.name, public.name)",
    "generator": "generators (generator.name)",
    "network": "generator networks (generator.network.name)",
    "sampler": "samplers (generator.sampler.name)",
    "classifier": "semantic classifiers (classifier.network.name)",
    "score": "classifiers for accuracy (evaluate.classifiers)",
}
FOLDERS = {
    "experiments": "experiments (privimage run NAME)",
    "methods": "methods (method=NAME)",
    "networks": "network presets (generator.network.preset=NAME)",
}


def add(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("list", help="name every experiment, method, source and model", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print as JSON")
    parser.set_defaults(command=command)


def command(options: argparse.Namespace) -> None:
    """Print the names with one line of explanation each."""
    presets = {
        title: {name: first_comment(kind, name) for name in preset_names(kind)} for kind, title in FOLDERS.items()
    }
    parts = {
        title: {name: registry.summary(name) for name in registry.names()}
        for kind, title in KINDS.items()
        if (registry := Registry.all.get(kind))
    }
    if options.json:
        keys = dict(zip([*presets, *parts], [*FOLDERS, *(f"{kind}s" for kind in KINDS)], strict=True))
        print(json.dumps({keys[title]: entries for title, entries in {**presets, **parts}.items()}, indent=2))
        return
    for title, entries in {**presets, **parts}.items():
        print(title)
        for name, text in entries.items():
            print(f"  {name:<16} {text}")
        print()


def first_comment(kind: str, name: str) -> str:
    """The comment that opens a preset."""
    first = (PRESETS / kind / f"{name}.yaml").read_text().partition("\n")[0]
    return first.lstrip("# ") if first.startswith("#") else ""
