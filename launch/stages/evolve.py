"""Private Evolution: candidates move towards the sensitive images, a noisy histogram of votes a round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from torch import Tensor

from accounting.access import PrivateAccess
from accounting.plan import EVOLUTION
from accounting.statements import noise_text
from datamodules.image_set import ImageSet
from datamodules.progress import track
from evolution.histogram import noisy_histogram
from evolution.loop import Evolving
from evolution.outcome import FILE, Outcome, digest_of
from evolution.rounds import Rounds
from evolution.samples import Samples
from launch.context import Context
from launch.evolving import drawn_at_random, evolving
from launch.interrupts import stop_if_asked
from launch.leading import keep_leading
from launch.release import write_release
from launch.reused_outcome import reused_outcome
from launch.stage import stage
from launch.stages.select import MAKES, keep
from launch.stages.synthesize import IMAGES_MADE

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
    """All rounds of votes and variations (Lin et al. 2024). SENSITIVE: charged as `private evolution`."""
    mechanism, ranks = context.plan.mechanism(EVOLUTION), context.ranks
    if context.config.evolution.reuse is not None:
        return take_outcome(context) if ranks.first else ""
    rounds = Rounds(context.folder("evolve"), context.fingerprints["evolve"])
    if ranks.first:  # which works alone; what is wrong with the API or the votes is found before anything is charged
        rounds.check(context.ledger.published(EVOLUTION), context.ledger.require)
        setting = evolving(context)
        first, population = rounds.latest() or (0, setting.first())
        if rounds.answered() < mechanism.steps:
            setting.try_out(population)
    access = context.charge(mechanism, "evolve") if ranks.told(rounds.answered() < mechanism.steps) else None
    if not ranks.first:
        return ""
    sensitive: list[Tensor] = []
    shares: list[np.ndarray] = []
    # the time of a round tells of the sensitive images
    show = context.console.progress and context.sensitive_source.public_benchmark
    for round in track(range(first, mechanism.steps), "evolve", total=mechanism.steps - first, unit="round", show=show):
        if round > first:
            population = setting.following(population, shares, round - 1)
        rounds.save_population(round, population)
        features = setting.features(population, round)
        if round >= rounds.answered() and access is not None:
            sensitive = sensitive or sensitive_features(context, setting)
            ask(access, rounds, round, sensitive, features, population, context.config.evolution.neighbours)
        votes, head = rounds.votes(round, population)
        context.ledger.require(head)
        context.ledger.confirm(EVOLUTION, round + 1, digest_of(votes, population))
        shares = setting.shares(votes, features)
        keep_leading(rounds.folder, round, setting.candidates(population), shares, context.class_names)
    Outcome(population, shares, votes, context.ledger.head).save(context.directory.path / OUTCOME)
    size = context.config.evolution.population
    return (
        f"{mechanism.steps} rounds of {size} candidates a category, "
        f"noise multiplier {noise_text(mechanism.noise_multiplier)}"
    )


def take_outcome(context: Context) -> str:
    """Take over the last candidates and votes of another run, with what they cost. Touches no sensitive data.

    What follows from the votes (`smooth`, `threshold`) is this run's to say.
    """
    answer, outcome = reused_outcome(context)  # whole, or a message before anything is charged
    setting = evolving(context)
    features = setting.features(outcome.population, context.config.evolution.rounds - 1)
    shares = setting.shares(outcome.votes, features)
    context.take_over(answer)
    replace(outcome, shares=shares, ledger_head=context.ledger.head).save(context.directory.path / OUTCOME)
    return f"the last candidates of '{context.config.evolution.reuse}', taken over"


def sensitive_features(context: Context, setting: Evolving) -> list[Tensor]:
    """The features of the sensitive images, a tensor a category. SENSITIVE."""
    images = context.sensitive
    features = setting.embedding(images.images)
    return [features[np.flatnonzero(images.labels == label)] for label in range(len(context.class_names))]


def ask(
    access: PrivateAccess,
    rounds: Rounds,
    round: int,
    sensitive: Sequence[Tensor],
    candidates: Sequence[Tensor],
    population: Sequence[Samples],
    neighbours: int,
) -> None:
    """A round's private step: the votes are on the disk with their charge before anything follows from them."""
    stop_if_asked()
    votes = noisy_histogram(sensitive, candidates, access, round=round, neighbours=neighbours)
    rounds.save_votes(round, votes, population, access.ledger_head)
    access.progress(round + 1, digest_of(votes, population))


def outcome_of(context: Context) -> Outcome:
    """The last candidates of the run."""
    outcome = Outcome.read(context.directory.path / OUTCOME)
    context.ledger.require(outcome.ledger_head)
    context.ledger.confirm(EVOLUTION, context.plan.mechanism(EVOLUTION).steps, outcome.digest)
    return outcome


def made_of_outcome(context: Context, counts: Sequence[int]) -> ImageSet:
    """Images like the last candidates, `counts` of each category. Post-processing, free of charge."""
    return made_like(outcome_of(context), evolving(context), context, counts)


def made_like(outcome: Outcome, setting: Evolving, context: Context, counts: Sequence[int], part: int = 0) -> ImageSet:
    """Images like the candidates of an outcome, `counts` of each category; each `part` is another."""
    show = context.console.progress
    each = list(zip(setting.candidates(outcome.population), outcome.shares, counts, strict=True))
    images = []
    for category, (samples, shares, count) in track(
        list(enumerate(each)), "make images", total=len(each), unit="category", show=show
    ):
        stop_if_asked()
        images.append(setting.rendered(samples, shares, count, category, part).images)
    labels = np.repeat(np.arange(len(counts), dtype=np.int64), counts)
    return ImageSet(np.concatenate(images), labels, context.class_names)


def to_be_labelled(
    outcome: Outcome, setting: Evolving, context: Context, part: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """As many images [N, C, H, W] as are released, and what those that are no strangers were made for, int64 [M].

    The last N - M of them, `evolution.share_at_random` of all, are of any category. Each `part` is another.
    """
    count = context.config.synthesize.count
    strangers = round(count * context.config.evolution.share_at_random)
    made = made_like(outcome, setting, context, evenly(count - strangers, context), part)
    drawn = drawn_at_random(setting, evenly(strangers, context), part)
    return np.concatenate([made.images, drawn]), made.labels


@stage(role="synthesize", needs=("evolve",), keys=("synthesize",), makes=IMAGES_MADE)
def publish_evolved(context: Context) -> str:
    """Release images like the last candidates, evenly over the categories; post-processing, free of charge."""
    images = made_of_outcome(context, evenly(context.config.synthesize.count, context))
    write_release(context.directory, context.config, context.ledger, images)
    return f"{len(images)} images in {context.outputs}"


def evenly(count: int, context: Context) -> list[int]:
    """How many of `count` images are of each category: as many of each as can be."""
    classes = len(context.class_names)
    return [len(range(label, count, classes)) for label in range(classes)]


@stage(role="select", needs=("evolve",), keys=("evolution",), makes=MAKES)
def select_evolved(context: Context) -> str:
    """Keep images like the last candidates for pre-training; post-processing, free of charge."""
    images = made_of_outcome(context, [context.config.evolution.rendered] * len(context.class_names))
    return keep(context, images, {}, f"{len(images)} images like the evolved candidates")
