"""The last candidates of another run, with their votes, found and checked before anything is charged."""

from __future__ import annotations

from configs.errors import UserError
from evolution.outcome import FILE, Outcome
from evolution.resampling import check_average
from launch.run.context import Context
from launch.run.reused_answers import Answer


def reused_outcome(context: Context) -> tuple[Answer, Outcome]:
    """The answer of the run in `evolution.reuse`, with its charge, and the last candidates with their votes.

    Touches no sensitive data.

    Raises:
        UserError: if it is missing, damaged or from another ledger, or if averages of its votes over
            `evolution.smooth` candidates would be the same for all candidates.
    """
    answer = context.setup.answers.of("evolve")
    path = answer.folder / FILE
    outcome = Outcome.read(path)
    answer.require(outcome.ledger_head, path, outcome.digest)
    if len(outcome.population) != len(context.class_names):
        raise UserError(
            f"evolution.reuse: '{path}' has {len(outcome.population)} categories, not the {len(context.class_names)} "
            "sensitive ones of this run. Give another run."
        )
    check_average(context.config.evolution, len(outcome.shares[0]))
    return answer, outcome
