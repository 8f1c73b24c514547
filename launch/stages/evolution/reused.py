"""The last candidates of another run, with their votes, found and checked before anything is charged."""

from __future__ import annotations

from configs.errors import UserError
from evolution.outcome import FILE, Outcome
from evolution.resampling import check_average
from launch.run.context import Context
from launch.run.reuse import Answer


def reused_outcome(context: Context) -> tuple[Answer, Outcome]:
    """What `evolution.reuse` names: the answer with its charge, and what the last round left there.

    Touches no sensitive data. UserError where it is missing, damaged or another's, or where this run could not tell
    one of its candidates from another.
    """
    answer = context.setup.answers.of("evolve")
    path = answer.folder / FILE
    outcome = Outcome.read(path)
    answer.require(outcome.ledger_head, path, outcome.digest)
    if len(outcome.population) != len(context.class_names):
        raise UserError(f"evolution.reuse: '{path}' has not the {len(context.class_names)} sensitive categories.")
    check_average(context.config.evolution, len(outcome.shares[0]))
    return answer, outcome
