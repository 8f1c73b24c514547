"""Whether a run is private at all, and what everything made by one that is not has to say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from accounting.plan import BudgetPlan
from configs.schema import Experiment
from launch.stage import STAGES

if TYPE_CHECKING:
    from launch.context import Context

FIXED_KEY = "NOT PRIVATE: made with a fixed key (privacy.insecure_key), so the noise can be computed and removed."
NO_NOISE = "NOT PRIVATE: the stage '{stage}' takes what it needs from the sensitive images without any noise."


def no_guarantee(config: Experiment) -> str | None:
    """Why nothing of a run is private, in a sentence for every output; None where its ledger's ε holds."""
    stage = without_noise(config)
    if stage is not None:
        return NO_NOISE.format(stage=stage)
    return FIXED_KEY if config.privacy.insecure_key is not None else None


def without_noise(config: Experiment) -> str | None:
    """The first stage of a run that gives sensitive images away without noise; None in a run that has none."""
    import launch.stages  # noqa: F401  (registers them; itself in need of what needs this module)

    return next((name for name in config.stages if not STAGES[name].private), None)


def planned(config: Experiment, budget: BudgetPlan) -> dict[str, Any]:
    """The plan as it is kept and shown; one of a run without a guarantee names no epsilon, and says why."""
    notice, plan = no_guarantee(config), budget.to_dict()
    if without_noise(config) is not None:
        plan |= {"epsilon": None, "delta": None}
    return {**({"notice": notice} if notice else {}), **plan}


def may_show(context: Context) -> bool:
    """Whether the console may show what follows from the query's answer: not where that is exact and the set is not.

    The set is public by a constant of its source, or by declaration.
    """
    return without_noise(context.config) is None or context.sensitive_source.public_benchmark
