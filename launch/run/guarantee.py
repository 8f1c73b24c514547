"""Whether a run is private at all, and what all outputs of a run that is not must say."""

from __future__ import annotations

from typing import Any

from accounting.plan import BudgetPlan
from configs.schema import Experiment
from datamodules.sources import Source
from launch.tracking.guard import Guard

FIXED_KEY = "NOT PRIVATE: made with a fixed key (privacy.insecure_key), so the noise can be computed and removed."
# Stages that use sensitive images without noise: one list in one place, for auditors.
NOT_PRIVATE = frozenset({"query_without_noise", "finetune_without_noise", "take_sensitive"})
NO_NOISE = "NOT PRIVATE: the stage '{stage}' takes what it needs from the sensitive images without any noise."


def no_guarantee(config: Experiment) -> str | None:
    """Why nothing of a run is private, as a sentence for every output; None if the ε of its ledger holds."""
    stage = without_noise(config)
    if stage is not None:
        return NO_NOISE.format(stage=stage)
    return FIXED_KEY if config.privacy.insecure_key is not None else None


def without_noise(config: Experiment) -> str | None:
    """The name of the first stage of a run that uses sensitive images without noise; None if there is no such stage."""
    return next((name for name in config.stages if name in NOT_PRIVATE), None)


def planned(config: Experiment, budget: BudgetPlan) -> dict[str, Any]:
    """The plan as it is stored and shown.

    If the run has no guarantee, it says why. If a stage takes no noise, it states no ε and no δ.
    """
    notice, plan = no_guarantee(config), budget.to_dict()
    if without_noise(config) is not None:
        plan |= {"epsilon": None, "delta": None}
    return {**({"notice": notice} if notice else {}), **plan}


def guard_of(config: Experiment, sensitive: Source) -> Guard:
    """What dashboards may see of a run with this configuration. Opens no image."""
    return Guard(
        public_benchmark=sensitive.public_benchmark,
        trusted_server=config.wandb.trusted_server,
        insecure=no_guarantee(config) is not None,
    )
