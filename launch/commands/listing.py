"""`privimage list`: every name that a configuration can use."""

from __future__ import annotations

import argparse
import json
from itertools import takewhile
from typing import Any

import configs.components  # noqa: F401  (the names of every component)
from configs.presets import PRESETS, preset_names
from configs.registry import Catalogue
from configs.stage_names import STAGE_SUMMARIES

DESCRIPTION = """\
Lists every name that a configuration can use, by kind, with the key that takes it: experiments, methods, stages,
sources of images, networks, samplers, scores, dashboards and presets of published sizes.

  privimage list                              everything
  privimage run demo method=sim_pe            a method of the list
  privimage run demo --help                   the keys of an experiment
"""
COMPONENT_KINDS = {
    "source": "sources (sensitive.name, public.name)",
    "generator": "generators (generator.name)",
    "network": "denoising networks of diffusion (generator.network.name)",
    "generator_network": "generating networks of a GAN (generator.network.name)",
    "discriminator": "discriminators of a GAN (generator.discriminator.name)",
    "sampler": "samplers (generator.sampler.name)",
    "classifier": "semantic classifiers (classifier.network.name)",
    "evolution_api": "models and simulators for Private Evolution (evolution.api.name)",
    "score": "classifiers for accuracy (evaluate.classifiers)",
    "tracker": "dashboards (tracking)",
}
PRESET_KINDS = {
    "experiments": ("experiments", "experiments (privimage run NAME)"),
    "methods": ("methods", "methods (method=NAME)"),
    "network_presets": ("networks", "presets of denoising networks (generator.network.preset=NAME)"),
    "generator_network_presets": (
        "generator_networks",
        "presets of generating networks (generator.network.preset=NAME)",
    ),
    "discriminator_presets": ("discriminators", "presets of discriminators (generator.discriminator.preset=NAME)"),
}


def add(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "list",
        help="list experiments, methods, sources and models",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print as JSON")
    parser.set_defaults(command=command)


def command(options: argparse.Namespace) -> None:
    """Print the names with one line of explanation each."""
    lists = everything()
    if options.json:
        print(json.dumps({key: entries for key, (_, entries) in lists.items()}, indent=2))
        return
    for title, entries in lists.values():
        print(title)
        for name, text in entries.items():
            print(f"  {name:<22} {text}")
        print()


def everything() -> dict[str, tuple[str, dict[str, str]]]:
    """For each kind of thing: a title, and its names with one line of explanation each."""
    presets = {
        kind: (title, {name: first_comment(folder, name) for name in preset_names(folder)})
        for kind, (folder, title) in PRESET_KINDS.items()
    }
    parts = {
        f"{kind}s": (title, {name: registry.summary(name) for name in registry.names()})
        for kind, title in COMPONENT_KINDS.items()
        for registry in [Catalogue.all[kind]]
    }
    return presets | {"stages": ("stages (stages=[NAME,…], in order)", dict(STAGE_SUMMARIES))} | parts


def first_comment(kind: str, name: str) -> str:
    """The comment that opens a preset, in one line."""
    lines = (PRESETS / kind / f"{name}.yaml").read_text().splitlines()
    return " ".join(line.lstrip("# ") for line in takewhile(lambda line: line.startswith("#"), lines))
