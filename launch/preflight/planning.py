"""From a configuration to its budget plan, before any data is read."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import TypeVar

from accounting.calibration import BudgetError
from accounting.gaussian import gaussian_mu
from accounting.ledger import Ledger
from accounting.mechanisms import GaussianHistogram, GaussianQuery, mechanism_from_dict
from accounting.plan import EVOLUTION, SEMANTIC_QUERY, BudgetPlan, check_budget, default_delta, plan_budget
from accounting.statements import noise_text, target_text
from configs.errors import UserError
from configs.schema import Experiment
from launch.run.reused_answers import SECTIONS, ReusedAnswers


def plan(config: Experiment, n: int, answers: ReusedAnswers) -> BudgetPlan:
    """The mechanisms of a run with their noise multipliers, calibrated to the budget. Opens no image.

    Args:
        config: the run's configuration.
        n: number of sensitive training records.
        answers: answers of other runs that it takes over.

    Raises:
        UserError: if the budget cannot be met, δ is too large for n, or the batch is larger than the set.
    """
    if n < 2:
        raise UserError(f"sensitive: {n} training records. A record cannot be hidden in so few; give a larger set.")
    delta = config.privacy.delta if config.privacy.delta is not None else default_delta(n)
    for warning in check_budget(config.privacy.epsilon, delta, n):
        warnings.warn(warning, stacklevel=2)
    trained = "finetune" in config.stages
    if trained and config.finetune.batch_size > n:
        raise UserError(
            f"finetune.batch_size: got {config.finetune.batch_size}; allowed is at most n = {n}, the number of "
            "sensitive training records: the sampling rate is batch size / n and cannot exceed 1."
        )
    query = semantic_query(config, delta, answers)
    return plan_budget(
        n=n,
        epsilon=config.privacy.epsilon,
        delta=delta,
        accountant=config.privacy.accountant,
        query=query,
        evolution=private_evolution(config, delta, answers, query),
        steps=config.finetune.steps if trained else 0,
        expected_batch=config.finetune.batch_size,
        clip_norm=config.finetune.clip_norm,
    )


Kind = TypeVar("Kind", GaussianQuery, GaussianHistogram)


def taken_over(config: Experiment, stage: str, kind: type[Kind], answers: ReusedAnswers) -> Kind:
    """The mechanism that another run was charged for the answer that a stage takes over.

    A run that has taken it over has it in its own ledger, and can resume even if the other run is gone.

    Args:
        stage: "query" or "evolve".
        kind: class of the mechanism.
        answers: answers of other runs.

    Raises:
        UserError: if the answer has another kind of mechanism, or as in `answer_of`.
    """
    mechanism = inherited(config, kind) or answers.of(stage).mechanism
    if not isinstance(mechanism, kind):
        raise UserError(
            f"{SECTIONS[stage]}.reuse: the answer there is that of a {mechanism.kind}. Give a run with a {kind.kind}."
        )
    return mechanism


def inherited(config: Experiment, kind: type[Kind]) -> Kind | None:
    """The mechanism of this kind in the run's own ledger that was inherited from another run, or None."""
    path = Path(config.run.root) / config.run.name / "ledger.jsonl"
    if not path.is_file() or not path.stat().st_size:  # created, but the first line was never written
        return None
    entries = [entry for entry in Ledger.read(path).entries if entry["kind"] == "inherit"]
    found = [mechanism_from_dict(entry["mechanism"]) for entry in entries]
    return next((mechanism for mechanism in found if isinstance(mechanism, kind)), None)


def semantic_query(config: Experiment, delta: float, answers: ReusedAnswers) -> GaussianQuery | None:
    """The mechanism of the semantic query, or None. Its L2 sensitivity is √k₁: a record adds 1 to k₁ bins of a row.

    Args:
        delta: δ of the budget.
        answers: answers of other runs.

    Raises:
        UserError: as in `taken_over`.
    """
    if "query" not in config.stages:
        return None
    settings, multiplier = config.query, config.query.noise_multiplier
    if settings.reuse is not None:
        return taken_over(config, "query", GaussianQuery, answers)
    if multiplier == "auto":  # the ε of a single Gaussian is known exactly
        multiplier = 1 / gaussian_mu(settings.budget_share * config.privacy.epsilon, delta)
    return GaussianQuery(
        name=SEMANTIC_QUERY,
        noise_multiplier=float(multiplier),
        sensitivity=math.sqrt(config.query.semantics),
    )


def private_evolution(
    config: Experiment, delta: float, answers: ReusedAnswers, query: GaussianQuery | None
) -> GaussianHistogram | None:
    """The mechanism of Private Evolution, or None: in each round a histogram of votes, with L2 norm 1 per image.

    With `auto` it gets what the query leaves of the budget or, if DP-SGD follows, a share of the whole. Gaussians
    compose in mu² = rounds / noise multiplier², so the split is exact.

    Args:
        delta: δ of the budget.
        answers: answers of other runs.
        query: mechanism of the semantic query, if the run has one.

    Raises:
        BudgetError: if the query leaves nothing.
        UserError: as in `taken_over`.

    Source: Dong et al. 2022, Corollary 3.3.
    """
    if "evolve" not in config.stages:
        return None
    settings, multiplier = config.evolution, config.evolution.noise_multiplier
    if settings.reuse is not None:
        return taken_over(config, "evolve", GaussianHistogram, answers)
    if multiplier == "auto":
        whole = gaussian_mu(config.privacy.epsilon, delta) ** 2
        asked = 0.0 if query is None else 1 / query.noise_multiplier**2
        left = settings.budget_share * whole if "finetune" in config.stages else whole - asked
        if left <= 0:
            raise BudgetError(
                f"query.noise_multiplier: {noise_text(query.noise_multiplier) if query else 0} leaves nothing of "
                f"privacy.epsilon={target_text(config.privacy.epsilon)} for Private Evolution. Raise either."
            )
        multiplier = math.sqrt(settings.rounds / left) * (1 + 1e-9)  # no rounding error may exceed the budget
    return GaussianHistogram(name=EVOLUTION, noise_multiplier=float(multiplier), rounds=settings.rounds)
