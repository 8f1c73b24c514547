"""How much less noise the other accountant would need for the same ε."""

from __future__ import annotations

from dataclasses import dataclass

from accounting.calibration import BudgetError, calibrate_noise_multiplier
from accounting.composition import is_exact
from accounting.plan import DP_SGD, BudgetPlan
from accounting.statements import noise_text

WORTH_SAYING = 0.01  # of the noise multiplier


@dataclass(frozen=True)
class LessNoise:
    """The noise multiplier of DP-SGD under another accountant."""

    accountant: str
    """Its name."""
    noise_multiplier: float
    """Under it."""
    planned: float
    """As planned."""

    def line(self) -> str:
        """It in words."""
        less = 1 - self.noise_multiplier / self.planned
        return (
            f"privacy.accountant={self.accountant} composes more tightly: for the same ε, DP-SGD would need a noise "
            f"multiplier of {noise_text(self.noise_multiplier)} instead of {noise_text(self.planned)} ({less:.0%} less)"
        )


def less_noise(budget: BudgetPlan) -> LessNoise | None:
    """What PRV would spare a plan by RDP; None where that is next to nothing, or the plan has no DP-SGD."""
    trained = [mechanism for mechanism in budget.mechanisms if mechanism.name == DP_SGD]
    if budget.accountant == "prv" or not trained or is_exact(budget.mechanisms):
        return None
    (private,) = trained
    try:
        found = calibrate_noise_multiplier(
            others=[mechanism for mechanism in budget.mechanisms if mechanism is not private],
            sampling_rate=private.sampling_rate,
            steps=private.steps,
            epsilon=budget.epsilon,
            delta=budget.delta,
            accountant="prv",
        )
    except BudgetError:
        return None
    return (
        LessNoise("prv", found, private.noise_multiplier)
        if found < (1 - WORTH_SAYING) * private.noise_multiplier
        else None
    )
