"""The settings that are proposed for a data set, as functions of public facts, each with its reason.

`docs/your-data.md` has them as a table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from launch.proposal.facts import Facts, Pace

SHARES = {"classifier": 0.12, "pretrain": 0.38, "finetune": 0.35, "synthesize": 0.06}
"""Shares of the time; the rest is for reading, scores and the report."""
STEPS = 60  # private steps, if the time is enough for large batches
LARGEST_RATE = 0.25  # sampling rate
SMALLEST_BATCH = 256
ENOUGH_PER_CATEGORY = 1000
MANY_CATEGORIES = 200
LEAST_OF_A_CATEGORY = 10  # synthetic images
CLASSIFIER_BATCH, PRETRAIN_BATCH = 128, 128
CPU_PATCHES = 16  # in a row; larger images are worked on in larger patches without a GPU


@dataclass(frozen=True)
class Choice:
    """A key with its value."""

    key: str
    """Such as `finetune.steps`."""
    value: Any
    """What is proposed."""
    reason: str
    """Why, in a few words; '' if it needs none."""


def choices(facts: Facts, pace: Pace) -> list[Choice]:
    """Every setting that depends on the facts, in the order of the configuration's keys.

    Args:
        facts: of the data set and the run.
        pace: of the machine.
    """
    return [choice for choose in CHOOSERS for choice in choose(facts, pace)]


def privacy(facts: Facts, pace: Pace) -> list[Choice]:
    """The budget."""
    return [
        Choice("privacy.epsilon", facts.epsilon, "of the whole run, for one image"),
        Choice("privacy.accountant", "prv", "a tighter composition than the paper's rdp, so less noise for the same ε"),
    ]


def classifier(facts: Facts, pace: Pace) -> list[Choice]:
    """The network that is asked which public categories resemble the sensitive ones."""
    network = {"name": "resnet", "blocks": [1, 1, 1], "width": 64 if facts.gpu else 16}
    return [
        Choice("classifier.network", network, "small: most of its use is in the query"),
        Choice("classifier.steps", steps(facts, pace.classifier, "classifier", CLASSIFIER_BATCH), share("classifier")),
        Choice("classifier.batch_size", CLASSIFIER_BATCH, ""),
        Choice("classifier.learning_rate", 5e-3, ""),
    ]


def query(facts: Facts, pace: Pace) -> list[Choice]:
    """The semantic query and what is selected by it."""
    many = facts.per_category >= ENOUGH_PER_CATEGORY
    votes = max(1, min(5, facts.public_categories // 20)) if many else 1
    selected = max(2, min(50, round(0.1 * facts.public_categories / facts.categories)))
    size = f"{facts.per_category:.0f} images per category"
    return [
        Choice("query.semantics", votes, f"{size}: " + ("enough for several votes" if many else "one vote each")),
        Choice("query.noise_multiplier", "auto", ""),
        *([Choice("query.per_category", False, "fewer public categories than yours")] if facts.crowded else []),
        Choice("query.budget_share", 0.05 if many else 0.1, "the fewer images, the more a readable answer costs"),
        Choice("selection.semantics", selected, f"a tenth of {facts.public_categories} public categories in all"),
    ]


def generator(facts: Facts, pace: Pace) -> list[Choice]:
    """A network of a size that the budget and the time can train."""
    large = facts.gpu and facts.resolution >= 28 and facts.resolution % 4 == 0
    network = {"preset": "unet_1.75m"} if large else small_unet(facts.resolution)
    return [
        Choice("generator.name", "diffusion", ""),
        Choice("generator.network", network, "the more weights, the more noise in each private step"),
        Choice(
            "generator.multiplicity", 4 if facts.gpu else 1, "noise levels for each record and step; they cost time"
        ),
        Choice("generator.sampler", {"name": "ddim", "steps": 50 if facts.gpu else 20}, ""),
        Choice("pretrain.steps", steps(facts, pace.pretrain, "pretrain", PRETRAIN_BATCH), share("pretrain")),
        Choice("pretrain.batch_size", PRETRAIN_BATCH, ""),
        Choice("pretrain.learning_rate", 1e-3 if facts.gpu else 3e-3, ""),
    ]


def small_unet(resolution: int) -> dict[str, Any]:
    """A U-Net for CPUs: on small images one of 0.2 M parameters, otherwise one of 0.7 M on patches of pixels."""
    small = resolution < 16
    fitting = (patch for patch in (1, 2, 4, 8) if resolution % patch == 0)
    patch = 1 if small else next((patch for patch in fitting if resolution // patch <= CPU_PATCHES), 1)
    return {
        "name": "unet",
        "base_channels": 16 if small else 32,
        "blocks_per_level": 1,
        "multipliers": [1, 2] if resolution // patch % 2 == 0 else [2],
        "attention_resolutions": [],
        "patch": patch,
    }


def finetune(facts: Facts, pace: Pace) -> list[Choice]:
    """DP-SGD: as large batches as the time allows, because noise is added once per batch."""
    draws = facts.minutes * 60 * SHARES["finetune"] / pace.finetune
    count, batch = private_steps(draws, facts.records)
    many = facts.categories > MANY_CATEGORIES
    return [
        Choice("finetune.steps", count, share("finetune")),
        Choice(
            "finetune.batch_size", batch, f"sampling rate {batch / facts.records:.3g}; noise is added once per batch"
        ),
        Choice("finetune.learning_rate", 1e-3 if facts.gpu else 2e-3, "few steps, so larger than in ordinary training"),
        Choice("finetune.clip_norm", 1.0, ""),
        Choice("finetune.micro_batch", "auto" if facts.gpu else 64, ""),
        *([Choice("finetune.snapshots", 0, "many categories make scores on the way slow")] if many else []),
    ]


def private_steps(draws: float, records: int) -> tuple[int, int]:
    """How many steps, of how many records on average, a number of draws is spent on.

    Args:
        draws: records that DP-SGD can process in the time, all steps together.
        records: n.

    Returns:
        Steps, and records per step: about 60 steps; more of them if their batches would be larger than a quarter of
        the set, fewer if they would be smaller than 256.
    """
    largest = max(1, int(LARGEST_RATE * records))
    batch = min(max(draws / STEPS, SMALLEST_BATCH), largest)
    return max(10, min(300, round(draws / batch))), rounded(batch)


def synthesize(facts: Facts, pace: Pace) -> list[Choice]:
    """How many images are released; more of them cost nothing, later as well."""
    count = facts.minutes * 60 * SHARES["synthesize"] / pace.synthesize
    count = rounded(min(max(count, 500), 20000, max(facts.records, 1000)))
    count = max(count, LEAST_OF_A_CATEGORY * facts.categories)
    return [
        Choice("synthesize.count", count, "more can be drawn at any time, free of charge"),
        Choice("synthesize.batch_size", min(500, count), ""),
        Choice(
            "evaluate.classifiers",
            ["cnn"] if facts.gpu or facts.resolution < 16 else ["lenet"],
            "trained on the synthetic images, tested on the real ones",
        ),
        Choice("evaluate.controls", ["before", "selected"], "what is scored next to the result"),
    ]


def steps(facts: Facts, seconds: float, stage: str, batch: int) -> int:
    """Steps that a stage can do in its share of the time, at least 50."""
    return max(50, rounded(facts.minutes * 60 * SHARES[stage] / (seconds * batch)))


def share(stage: str) -> str:
    """The reason of a number of steps."""
    return f"{SHARES[stage]:.0%} of the time"


def rounded(value: float) -> int:
    """A whole number with two significant digits, not above the value unless that is below 10."""
    number = max(1, int(value))
    unit = 10 ** max(0, len(str(number)) - 2)
    return number // unit * unit


CHOOSERS = (privacy, classifier, query, generator, finetune, synthesize)


def usual_pace(facts: Facts) -> Pace:
    """The pace of two cores of a server's CPU, or of a large GPU: for a first draft, which is measured afterwards."""
    size = (facts.resolution / 28) ** 2 / (200 if facts.gpu else 1)
    return Pace(classifier=0.0015 * size, pretrain=0.004 * size, finetune=0.005 * size, synthesize=0.025 * size)
