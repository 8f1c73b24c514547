"""Whether a run is private at all, and what all outputs of a run that is not must say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from accounting.plan import BudgetPlan
from configs.schema import Experiment
from datamodules.sources.source import Declared
from launch.tracking.guard import Guard

FIXED_KEY = "NOT PRIVATE: made with a fixed key (privacy.insecure_key), so the noise can be computed and removed."
# Stages that use sensitive images without noise: one list in one place, for auditors.
NOT_PRIVATE = frozenset({"query_without_noise", "finetune_without_noise", "take_sensitive"})
NO_NOISE = "NOT PRIVATE: the stage '{stage}' takes what it needs from the sensitive images without any noise."


@dataclass(frozen=True)
class Guarantee:
    """Whether a run has a guarantee. A function of its configuration, decided once, when the run begins."""

    without_noise: str | None
    """The first stage that uses sensitive images without noise, or None."""
    fixed_key: bool
    """Whether the noise comes from a fixed key."""

    @classmethod
    def of(cls, config: Experiment) -> Guarantee:
        """The guarantee of a run with this configuration."""
        stage = next((name for name in config.stages if name in NOT_PRIVATE), None)
        return cls(without_noise=stage, fixed_key=config.privacy.insecure_key is not None)

    @property
    def notice(self) -> str | None:
        """Why nothing of the run is private, as a sentence for every output; None if the ε of its ledger holds."""
        if self.without_noise is not None:
            return NO_NOISE.format(stage=self.without_noise)
        return FIXED_KEY if self.fixed_key else None

    @property
    def private(self) -> bool:
        """Whether the ε of the run's ledger holds."""
        return self.notice is None

    def planned(self, budget: BudgetPlan) -> dict[str, Any]:
        """A plan as it is stored and shown.

        If the run has no guarantee, it says why. If a stage takes no noise, it states no ε and no δ.
        """
        plan = budget.to_dict()
        if self.without_noise is not None:
            plan |= {"epsilon": None, "delta": None}
        return {**({"notice": self.notice} if self.notice else {}), **plan}

    def guard(self, config: Experiment, sensitive: Declared) -> Guard:
        """What dashboards may see of the run."""
        return Guard(
            public_benchmark=sensitive.public_benchmark,
            trusted_server=config.wandb.trusted_server,
            insecure=not self.private,
        )
