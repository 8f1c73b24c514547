"""Stages: small functions with declared inputs, skipped where they are done already."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs.errors import UserError
from configs.schema import Experiment
from launch.config import MEMORY
from launch.resources import Meter
from launch.sharing import fetch, offer

if TYPE_CHECKING:
    from launch.context import Context

OUTPUTS = "outputs/"
FORMAT = 1  # raise it when a change makes artefacts of earlier versions wrong


@dataclass(frozen=True)
class Stage:
    """One step of a run.

    role: what it does for the others, such as "select"; its folder has that name, and of the stages with one role a run
    has at most one. needs: roles whose artefacts it reads. uses: those that it reads where the run has them.
    keys: sections of the configuration that its result depends on. makes: files in the run's folder (`outputs/`: in the
    folder of the run's outputs) without which it is not done. reads_sensitive: whether it touches the sensitive images.
    charged: whether it spends privacy budget. private: whether what it makes of sensitive images is private or stays in
    `internal/`; a run with a stage that is not has no guarantee. shared: whether all processes of a job work on it
    together and the first one writes what it makes; the others wait for the first where it works alone.
    """

    name: str
    role: str
    work: Callable[[Context], str]
    needs: tuple[str, ...]
    keys: tuple[str, ...]
    reads_sensitive: bool
    charged: bool
    shared: bool = False
    makes: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    private: bool = True


STAGES: dict[str, Stage] = {}


def stage(
    *,
    role: str | None = None,
    needs: tuple[str, ...] = (),
    uses: tuple[str, ...] = (),
    keys: tuple[str, ...] = (),
    makes: tuple[str, ...] = (),
    reads_sensitive: bool = False,
    charged: bool = False,
    shared: bool = False,
    private: bool = True,
) -> Callable[[Callable[[Context], str]], Callable[[Context], str]]:
    """Register a function as a stage; it returns one line for the console, free of anything sensitive."""

    def register(work: Callable[[Context], str]) -> Callable[[Context], str]:
        name = work.__name__
        STAGES[name] = Stage(
            name, role or name, work, needs, keys, reads_sensitive, charged, shared, makes, uses, private
        )
        return work

    return register


def order(config: Experiment) -> list[Stage]:
    """The stages of a run in order. Raises UserError for an unknown stage or a missing input."""
    if not config.stages:
        raise UserError(f"stages: there is nothing to do. Name some of: {', '.join(STAGES)}.")
    chosen: list[Stage] = []
    for name in config.stages:
        if name not in STAGES:
            raise UserError(f"stages: there is no stage '{name}' (there are: {', '.join(STAGES)}).")
        roles = {done.role: done.name for done in chosen}
        other = roles.get(STAGES[name].role)
        if other is not None:
            twice = "is named twice" if other == name else f"does what '{other}' does; a run has one of them"
            raise UserError(f"stages: '{name}' {twice}.")
        for need in STAGES[name].needs:
            if need not in roles:
                able = " or ".join(step.name for step in STAGES.values() if step.role == need)
                raise UserError(f"stages: '{name}' needs {able} before it.")
        chosen.append(STAGES[name])
    check_guarantee(chosen)
    check_release(chosen)
    return chosen


def check_guarantee(stages: list[Stage]) -> None:
    """A run is private or it is not. UserError where some stages pay for what others take without noise."""
    open_ones = [step.name for step in stages if not step.private]
    charged = [step.name for step in stages if step.charged]
    if open_ones and charged:
        raise UserError(
            f"stages: '{open_ones[0]}' gives sensitive images away without noise, so nothing of the run is private, "
            f"and '{charged[0]}' would spend budget for nothing. Take one of them out."
        )


def check_release(stages: list[Stage]) -> None:
    """What is released states the cost of all. UserError where a stage spends budget after it has been stated."""
    made = next((place for place, step in enumerate(stages) if step.role == "synthesize"), len(stages))
    late = [step.name for step in stages[made:] if step.charged]
    if late:
        raise UserError(
            f"stages: '{late[0]}' spends budget after '{stages[made].name}' has stated what the release costs. Put it "
            "before."
        )


def fingerprint(step: Stage, context: Context) -> str:
    """A hash of all that a stage's result depends on: its configuration, its mechanisms and its inputs.

    The contents of the sensitive images are no part of it: a hash of them would be a statistic of them.
    """
    config = dataclasses.asdict(context.config)
    parts: dict[str, Any] = {"format": FORMAT, "stage": step.name, "image": config["image"]}
    for key in step.keys:
        parts[key] = {name: value for name, value in config[key].items() if name not in MEMORY}
    if step.charged:
        parts["plan"] = context.plan.to_dict()
    parts["seed"] = context.config.run.seed
    inputs = [*step.needs, *(role for role in step.uses if role in context.fingerprints)]
    parts["needs"] = {role: context.fingerprints[role] for role in inputs}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def perform(step: Stage, context: Context) -> None:
    """Do a stage, or skip it where this very stage is done."""
    mark = fingerprint(step, context)
    context.fingerprints[step.role] = mark
    if sees_only_public(step, context):
        context.public_roles.add(step.role)
    ranks = context.ranks
    done = ranks.told(done_already(step, context, mark) if ranks.first else None)
    if done is not None:
        context.console.stage(step.role, done)
        return
    if ranks.first:
        work_and_mark(step, context, mark)
    elif step.shared:
        step.work(context)
    ranks.told(None)  # what the stage has made is there for all


def sees_only_public(step: Stage, context: Context) -> bool:
    """Whether neither a stage nor any before it that it reads has seen a sensitive image, with noise or without."""
    inputs = [role for role in (*step.needs, *step.uses) if role in context.fingerprints]
    return not step.reads_sensitive and all(role in context.public_roles for role in inputs)


def done_already(step: Stage, context: Context, mark: str) -> str | None:
    """What the console says of a stage that this run has done, or another that shares it; None where neither has."""
    line = line_of(step, context, mark)
    return f"{line} (done before)" if line is not None else fetch(step, context, mark)


def line_of(step: Stage, context: Context, mark: str) -> str | None:
    """What this very stage came to where it is done and nothing of it is missing; else None."""
    done = context.directory.marker(step.role)
    whole = all(place(made, context).exists() for made in step.makes)
    return done["line"] if done is not None and done["fingerprint"] == mark and whole else None


def place(made: str, context: Context) -> Path:
    """Where a file that a stage makes is."""
    return context.directory.path / made if not made.startswith(OUTPUTS) else context.outputs / made[len(OUTPUTS) :]


def work_and_mark(step: Stage, context: Context, mark: str) -> None:
    """Do a stage's work in the process that writes, put it on record and say what it came to."""
    meter = Meter()
    try:
        with meter:
            line = step.work(context)
    finally:  # an attempt that was interrupted costs as well
        context.directory.add_cost(step.role, meter)
    context.directory.mark(step.role, {"fingerprint": mark, "line": line, "ledger_head": context.ledger.head})
    offer(step, context, mark)
    timed = not step.reads_sensitive or context.sensitive_source.public_benchmark
    context.console.stage(step.role, f"{line}, {meter.seconds:.0f} s" if timed else line)
