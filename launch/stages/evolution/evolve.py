"""Private Evolution: candidates move towards the sensitive images, guided by noisy votes in each round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from torch import Tensor

from accounting.access import PrivateAccess
from accounting.plan import EVOLUTION
from accounting.statements import noise_text
from datamodules.progress import track
from evolution.histogram import noisy_histogram
from evolution.loop import Evolving
from evolution.outcome import FILE, Outcome, digest_of
from evolution.rounds import Rounds
from evolution.samples import Samples
from launch.processes.interrupts import stop_if_asked
from launch.run.context import Context
from launch.run.stage import stage
from launch.stages.evolution.leading import keep_leading
from launch.stages.evolution.reused import reused_outcome
from launch.stages.evolution.setting import evolving

OUTCOME = f"stages/evolve/{FILE}"


@stage(
    needs=("classifier",),
    uses=("query", "select", "pretrain"),
    keys=("sensitive", "public", "selection", "query", "evolution", "generator", "privacy"),
    reads_sensitive=True,
    shared=True,
    charged=True,
    makes=(OUTCOME,),
)
def evolve(context: Context) -> str:
    """All rounds of votes and variations.

    Source: Lin et al. 2024.

    Sensitive: reads sensitive images; charged as `private evolution`.
    """
    mechanism, ranks = context.plan.mechanism(EVOLUTION), context.ranks
    if context.config.evolution.reuse is not None:
        return take_outcome(context) if ranks.first else ""
    rounds = Rounds(context.folder("evolve"), context.fingerprints["evolve"])
    if ranks.first:  # it works by itself; problems with the API or the votes are found before anything is charged
        rounds.check(context.ledger.published(EVOLUTION), context.ledger.require)
        setting = evolving(context)
        first, population = rounds.latest() or (0, setting.first())
        if rounds.answered() < mechanism.steps:
            setting.try_out(population)
    access = context.charge(mechanism, "evolve") if ranks.broadcast(rounds.answered() < mechanism.steps) else None
    if not ranks.first:
        return ""
    sensitive: list[Tensor] = []
    shares: list[np.ndarray] = []
    # the time of a round depends on the sensitive images
    show = context.console.progress and context.sensitive_source.public_benchmark
    left = range(first, mechanism.steps)
    for number in track(left, "evolve", total=len(left), unit="round", show=show):
        if number > first:
            population = setting.following(population, shares, number - 1)
        rounds.save_population(number, population)
        features = setting.features(population, number)
        if number >= rounds.answered() and access is not None:
            sensitive = sensitive or sensitive_features(context, setting)
            ask(access, rounds, number, sensitive, features, population, context.config.evolution.neighbours)
        votes, head = rounds.votes(number, population)
        context.ledger.require(head)
        context.ledger.confirm(EVOLUTION, number + 1, digest_of(votes, population))
        shares = setting.shares(votes, features)
        keep_leading(rounds.folder, number, setting.candidates(population), shares, context.class_names)
    Outcome(population, shares, votes, context.ledger.head).save(context.directory.path / OUTCOME)
    size = context.config.evolution.population
    return (
        f"{mechanism.steps} rounds of {size} candidates per category, "
        f"noise multiplier {noise_text(mechanism.noise_multiplier)}"
    )


def take_outcome(context: Context) -> str:
    """Take over the last candidates and votes of another run, with their charge. Touches no sensitive data.

    What follows from the votes depends on the settings of this run (`smooth`, `threshold`).

    Returns:
        The stage's console line.
    """
    answer, outcome = reused_outcome(context)  # complete, or an error before anything is charged
    setting = evolving(context)
    features = setting.features(outcome.population, context.config.evolution.rounds - 1)
    shares = setting.shares(outcome.votes, features)
    context.take_over(answer)
    replace(outcome, shares=shares, ledger_head=context.ledger.head).save(context.directory.path / OUTCOME)
    return f"last candidates taken over from '{context.config.evolution.reuse}'"


def sensitive_features(context: Context, setting: Evolving) -> list[Tensor]:
    """Features of the sensitive images, one tensor [N_c, F] per category.

    Sensitive: as sensitive as the images.
    """
    images = context.sensitive.exposed()
    features = setting.embedding(images.images)
    return [features[np.flatnonzero(images.labels == label)] for label in range(len(context.class_names))]


def ask(
    access: PrivateAccess,
    rounds: Rounds,
    number: int,
    sensitive: Sequence[Tensor],
    candidates: Sequence[Tensor],
    population: Sequence[Samples],
    neighbours: int,
) -> None:
    """The private step of a round. The votes and their charge are on the disk before anything follows from them.

    Args:
        access: access to the charged mechanism.
        rounds: the folder of the rounds.
        number: number of the round, from 0.
        sensitive: features of the sensitive images, one tensor [N_c, F] per category.
        candidates: features of the candidates for each category, one tensor [M_c, F].
        population: the candidates.
        neighbours: candidates that each image votes for.

    Raises:
        Interrupted: before the votes, if a signal asked to stop.

    Sensitive: reads features of sensitive images.
    """
    stop_if_asked()
    votes = noisy_histogram(sensitive, candidates, access, round=number, neighbours=neighbours)
    rounds.save_votes(number, votes, population, access.ledger_head)
    access.progress(number + 1, digest_of(votes, population))
