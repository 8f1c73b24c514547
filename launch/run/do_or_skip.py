"""Do a stage: skip it if it is done already, take it over from a run that shares it, or do its work and record it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

from configs.loading import MEMORY
from launch.processes.resources import Meter
from launch.run.context import Context
from launch.run.public_cache import fetch, offer
from launch.run.stage import OUTPUTS, Stage

FORMAT = 1  # raise it when a change makes artefacts of earlier versions wrong


def fingerprint_of(stage: Stage, context: Context) -> str:
    """Hash of everything that a stage's result depends on: its configuration, its mechanisms and its inputs.

    The contents of the sensitive images are not part of it: a hash of them would be a statistic of them.

    Returns:
        SHA-256 in hexadecimal digits.
    """
    config = dataclasses.asdict(context.config)
    parts: dict[str, Any] = {"format": FORMAT, "stage": stage.name, "image": config["image"]}
    for key in stage.keys:
        parts[key] = {name: value for name, value in config[key].items() if name not in MEMORY}
    if stage.charged:
        parts["plan"] = context.plan.to_dict()
    parts["seed"] = context.config.run.seed
    inputs = [*stage.needs, *(role for role in stage.uses if role in context.fingerprints)]
    parts["needs"] = {role: context.fingerprints[role] for role in inputs}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def perform(stage: Stage, context: Context) -> None:
    """Do a stage, or skip it if exactly this stage is done already. All processes of a job call it."""
    fingerprint = fingerprint_of(stage, context)
    context.fingerprints[stage.role] = fingerprint
    if sees_only_public(stage, context):
        context.public_roles.add(stage.role)
    ranks = context.ranks
    done = ranks.broadcast(done_already(stage, context, fingerprint) if ranks.first else None)
    if done is not None:
        context.console.stage(stage.role, done)
        return
    if ranks.first:
        work_and_record(stage, context, fingerprint)
    elif stage.shared:
        stage.work(context)
    ranks.broadcast(None)  # what the stage has made is there for all


def sees_only_public(stage: Stage, context: Context) -> bool:
    """Whether neither a stage nor any earlier stage that it reads has seen a sensitive image, with noise or without."""
    inputs = [role for role in (*stage.needs, *stage.uses) if role in context.fingerprints]
    return not stage.reads_sensitive and all(role in context.public_roles for role in inputs)


def done_already(stage: Stage, context: Context, fingerprint: str) -> str | None:
    """The console line of a stage that this run, or another run that shares it, has done; None if neither has."""
    line = line_of(stage, context, fingerprint)
    return f"{line} (done before)" if line is not None else fetch(stage, context, fingerprint)


def line_of(stage: Stage, context: Context, fingerprint: str) -> str | None:
    """The recorded console line of a stage if exactly this stage is done and none of its files is missing; or None."""
    done = context.directory.marker(stage.role)
    whole = all(place(made, context).exists() for made in stage.makes)
    return done["line"] if done is not None and done["fingerprint"] == fingerprint and whole else None


def place(made: str, context: Context) -> Path:
    """Where a file that a stage makes is."""
    return context.directory.path / made if not made.startswith(OUTPUTS) else context.outputs / made[len(OUTPUTS) :]


def work_and_record(stage: Stage, context: Context, fingerprint: str) -> None:
    """Do a stage's work in the process that writes, record it, and print its result."""
    meter = Meter()
    try:
        with meter:
            line = stage.work(context)
    finally:  # an interrupted attempt counts too
        context.directory.add_cost(stage.role, meter)
    context.directory.mark(stage.role, {"fingerprint": fingerprint, "line": line, "ledger_head": context.ledger.head})
    offer(stage, context, fingerprint)
    timed = not stage.reads_sensitive or context.sensitive_source.public_benchmark
    context.console.stage(stage.role, f"{line}, {meter.seconds:.0f} s" if timed else line)
