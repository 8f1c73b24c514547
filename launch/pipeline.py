"""A run from its configuration to its report: decide what can be decided, claim the folder, do the stages in order."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import launch.stages  # noqa: F401  (registers the stages)
from accounting.composition import is_exact
from accounting.ledger import Ledger
from accounting.statements import delta_text, epsilon_text, target_text
from configs.errors import UserError
from configs.files import atomic_json
from configs.schema import Experiment
from launch.console import Console
from launch.preflight.checked_setup import set_up
from launch.processes.device import pick_device
from launch.processes.ranks import Ranks
from launch.results import send_results
from launch.run.context import Context
from launch.run.directory import RunDirectory
from launch.run.do_or_skip import perform
from launch.run.file_times import settle
from launch.run.first_reading import read_first
from launch.run.setup import Setup
from launch.run.stage import Stage, order
from launch.stages.engine_choice import rehearse_training
from launch.stages.evolution.setting import rehearse


def run(config: Experiment, console: Console) -> RunDirectory:
    """Do what is left of a run.

    Returns:
        The run's folder.

    Raises:
        Interrupted: if a signal asked to stop. The same command continues from there.
        UserError: for anything that the user can fix.
    """
    setup, stages = set_up(config), order(config)
    directory = RunDirectory(Path(config.run.root) / config.run.name, setup.guarantee)
    ranks = Ranks.here()
    ranks.connect(pick_device(config, ranks))
    with directory.lock() if ranks.first else nullcontext():
        context = begin(setup, stages, directory, console, ranks)
        with context.tracking:
            for stage in stages:
                ranks.stop_if_asked()
                if stage.charged and ranks.first:
                    rehearse(context, stage.role)
                    rehearse_training(context, stage.role)
                perform(stage, context)
                if ranks.first and charged_stages_done(context, stages):
                    context.forget_key()
            send_results(context)
        if ranks.first and directory.outputs.is_dir():
            settle(directory.outputs)  # also the files that an earlier version released
    return directory


def begin(setup: Setup, stages: list[Stage], directory: RunDirectory, console: Console, ranks: Ranks) -> Context:
    """Read the sensitive images, claim the run's folder and open its ledger in the first process.

    The other processes only read folder and ledger, and the images when they need them.
    """
    if not ranks.first:
        ranks.broadcast(None)
        return Context(setup, directory, Ledger.read(directory.ledger), Console(quiet=True), ranks)
    directory.check(setup.config)  # a folder of something else is refused before the images are read
    read = read_first(setup, directory, stages, console)
    directory.claim(setup.config)
    atomic_json(directory.plan, setup.guarantee.planned(setup.plan))
    context = Context(setup, directory, open_ledger(setup, directory), console, ranks, read)
    announce(context)
    ranks.broadcast(None)
    return context


def open_ledger(setup: Setup, directory: RunDirectory) -> Ledger:
    """The run's ledger, checked against the ledger heads that the run's artefacts state.

    Raises:
        UserError: if it is missing, damaged, or lacks one of those heads.
    """
    heads = directory.known_heads()
    if heads and not directory.ledger.is_file():
        raise UserError(
            f"'{directory.ledger}' is missing, but parts of this run are done. Without it, the budget spent is "
            "unknown: restore it from a copy, or start again under another run.name."
        )
    ledger = Ledger.open(
        directory.ledger,
        epsilon=setup.plan.epsilon,
        delta=setup.plan.delta,
        n=setup.plan.n,
        accountant=setup.plan.accountant,
        insecure=not setup.guarantee.private,
    )
    for head in heads:
        ledger.require(head)
    return ledger


def charged_stages_done(context: Context, stages: list[Stage]) -> bool:
    """Whether there are stages that draw from the run key, and all of them are finished."""
    charged = [stage for stage in stages if stage.charged]
    return bool(charged) and all(
        (marker := context.directory.marker(stage.role)) is not None
        and marker["fingerprint"] == context.fingerprints.get(stage.role)
        for stage in charged
    )


def announce(context: Context) -> None:
    """Print what is run and which budget it has."""
    budget, config = context.plan, context.config
    context.console.line(f"{config.run.name}: {config.method} on {config.sensitive.name}, public {config.public.name}")
    if context.ranks.world > 1:
        context.console.line(f"  processes   {context.ranks.world} on {context.ranks.nodes} machine(s)")
    if budget.mechanisms:
        how = "exact" if is_exact(budget.mechanisms) else f"by {budget.accountant.upper()}"
        context.console.line(
            f"  budget      ε = {target_text(budget.epsilon)}, δ = {delta_text(budget.delta)}, n = {budget.n} "
            f"(planned ε = {epsilon_text(budget.composed(budget.accountant))}, {how})"
        )
    for tracker in context.tracking.trackers:
        if tracker.notice:
            context.console.stage("tracking", f"{tracker.destination}: {tracker.notice}")
    if context.guarantee.notice is not None:
        context.console.line(f"  {context.guarantee.notice}")


def summary(directory: RunDirectory) -> dict[str, Any]:
    """The results of a run, without anything sensitive: where they are and, once released, the guarantee."""
    outputs, report = directory.outputs, directory.internal / "report.html"
    path = outputs / "privacy.json"
    statement = json.loads(path.read_text()) if path.is_file() else {}
    kept = {key: statement[key] for key in ("epsilon", "delta", "accountant", "private") if key in statement}
    return {
        "run": str(directory.path),
        "release": str(outputs) if statement else None,
        "report": str(report) if report.is_file() else None,
        **kept,
    }
