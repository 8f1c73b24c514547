"""From a configuration to its budget plan, before any data is read."""

from __future__ import annotations

import math
import warnings

from accounting.gaussian import gaussian_mu
from accounting.mechanisms import GaussianQuery
from accounting.plan import SEMANTIC_QUERY, BudgetPlan, check_budget, default_delta, plan_budget
from configs.errors import UserError
from configs.schema import Experiment
from launch.data import naming, sensitive_source


def plan(config: Experiment) -> BudgetPlan:
    """The mechanisms of a run with every noise multiplier, calibrated to the budget. Opens no image.

    Raises UserError where the budget cannot be met, δ is too large for n, or the batch is larger than the set.
    """
    source = sensitive_source(config)
    with naming("sensitive"):
        n = source.size()
    if n < 2:
        raise UserError(f"sensitive: {n} training records. There is nothing to hide one among; give a larger set.")
    delta = config.privacy.delta if config.privacy.delta is not None else default_delta(n)
    for warning in check_budget(config.privacy.epsilon, delta, n):
        warnings.warn(warning, stacklevel=2)
    trained = "finetune" in config.stages
    if trained and config.finetune.batch_size > n:
        raise UserError(
            f"finetune.batch_size: got {config.finetune.batch_size}; allowed is at most n = {n}, the number of "
            "sensitive training records: the sampling rate is batch size / n and cannot exceed 1."
        )
    return plan_budget(
        n=n,
        epsilon=config.privacy.epsilon,
        delta=delta,
        accountant=config.privacy.accountant,
        query=semantic_query(config, delta),
        steps=config.finetune.steps if trained else 0,
        expected_batch=config.finetune.batch_size,
        clip_norm=config.finetune.clip_norm,
    )


def semantic_query(config: Experiment, delta: float) -> GaussianQuery | None:
    """The mechanism of the semantic query; its sensitivity is √k₁, since a record adds 1 to k₁ bins of one row."""
    if "query" not in config.stages:
        return None
    settings, multiplier = config.query, config.query.noise_multiplier
    if multiplier == "auto":  # a lone Gaussian's epsilon is known exactly
        multiplier = 1 / gaussian_mu(settings.budget_share * config.privacy.epsilon, delta)
    return GaussianQuery(
        name=SEMANTIC_QUERY,
        noise_multiplier=float(multiplier),
        sensitivity=math.sqrt(config.query.semantics),
    )
