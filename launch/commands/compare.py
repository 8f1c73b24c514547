"""`privimage compare`: methods side by side on one experiment, over budgets and seeds."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from configs.errors import UserError
from configs.loading import load
from configs.presets import preset_names, read_preset
from launch.commands.experiment import add_experiment
from launch.commands.studies import add_options, check_options, do, scored

DESCRIPTION = """\
Runs an experiment with several methods, budgets and seeds, as far as these runs are missing, and puts the results side
by side: accuracy and distances against ε, the gap to the non-private ceilings, time and memory of every stage, samples.
Give the same command again to resume after an interruption. Stages that see no sensitive image (the classifier,
pre-training on all public images) are run once and shared.

Tables and page go to RUN.ROOT/NAME/comparison.{csv,md,html}. They are NOT private. Every run is private by itself; all
of them together cost more than each one, as the page says.
"""
CEILINGS = {"diffusion": "nonpriv_d", "gan": "nonpriv_g"}
"""The method without privacy that a generator is measured against."""


def add(commands: Any) -> None:
    """Add the command."""
    parser = add_experiment(commands, "compare", "run several methods and compare them", DESCRIPTION, command)
    parser.add_argument("--methods", default="all", metavar="A,B,…", help="methods, or all (default)")
    parser.add_argument("--epsilons", metavar="E,E,…", help="budgets (default: the experiment's)")
    add_options(parser, "comparison")


def command(options: argparse.Namespace) -> int:
    """List the cells, run them, compare."""
    check_options(options)
    methods = preset_names("methods") if options.methods == "all" else options.methods.split(",")
    if not all(methods):
        raise UserError(f"--methods: got {options.methods!r}; give names separated by commas, or all.")
    methods = list(dict.fromkeys(methods))
    reserved = [
        word
        for word in options.overrides
        if word.partition("=")[0] in ("method", "privacy.epsilon", "run.seed", "run.name")
    ]
    if reserved:
        raise UserError(f"{reserved[0]}: compare chooses this itself; use --methods, --epsilons, --seeds and --name.")
    configs = {method: scored(config_of(options, method)) for method in methods}
    epsilons = numbers(options.epsilons) if options.epsilons else [next(iter(configs.values())).privacy.epsilon]
    from launch import components
    from launch.commands.cells import cells_of

    components.load()
    cells = []
    for method, config in configs.items():
        try:
            cells += cells_of(method, config, epsilons, options.seeds)
        except UserError as error:
            raise UserError(f"method={method}: {error}") from error
    trained = {method: config for method, config in configs.items() if "finetune" in config.stages}
    ceilings = {Path(method).stem: CEILINGS.get(config.generator.name, "") for method, config in trained.items()}
    return do(options, "comparison", cells, group_name="method", x_name="ε", ceilings=ceilings)


def config_of(options: argparse.Namespace, method: str) -> Any:
    """The configuration of one method's runs. A UserError names the method that it does not fit."""
    read_preset("methods", method)  # an unknown method is reported without the advice below
    try:
        return load(options.experiment, [*options.overrides, f"method={method}"])
    except UserError as error:
        raise UserError(
            f"method={method}: {error} An override applies to every method; one that fits only some of them belongs "
            "in a YAML file, under for_generator or for_api."
        ) from error


def numbers(text: str) -> list[float]:
    """Budgets that were given, separated by commas."""
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError as error:
        raise UserError(f"--epsilons: got {text!r}; give numbers separated by commas, such as 1,5,10.") from error
    if any(not value > 0 for value in found):
        raise UserError(f"--epsilons: got {text!r}; every budget must be above 0.")
    return list(dict.fromkeys(found))
