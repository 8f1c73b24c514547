"""The budget of a run, fixed before any data is read: which mechanisms, how much noise, what is left."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from accounting.calibration import MORE_NOISE, BudgetError, calibrate_noise_multiplier
from accounting.composition import alone, epsilon, shares
from accounting.mechanisms import GaussianHistogram, GaussianQuery, Mechanism, SampledGaussian
from accounting.statements import delta_text, epsilon_text, noise_text, rounded_down, target_text
from configs.errors import UserError

SEMANTIC_QUERY = "semantic query"
EVOLUTION = "private evolution"
DP_SGD = "dp-sgd"


def default_delta(n: int) -> float:
    """delta = 1 / (n ln n) for n records; n is public by declaration.

    Raises:
        UserError: if n < 3, where delta would be >= 1/n.
    """
    if n < 3:
        raise UserError(
            f"sensitive: {n} records are too few for a guarantee: with delta below 1/n at least 3 are needed"
        )
    return 1 / (n * math.log(n))


def check_budget(epsilon: float, delta: float, n: int) -> list[str]:
    """Warnings about a budget that is allowed but weak.

    Raises:
        UserError: if epsilon is not a number > 0, delta is not in (0, 1/n), or n < 1.
    """
    if not (math.isfinite(epsilon) and epsilon > 0):
        raise UserError(f"privacy.epsilon must be a number > 0, got {epsilon}")
    if n < 1:
        raise UserError(f"sensitive: a guarantee needs records, got n = {n}")
    if not (math.isfinite(delta) and delta > 0):
        raise UserError(f"privacy.delta must be a number > 0, got {delta}")
    largest, advised = (rounded_down(share / n, 3, significant=True) for share in (1.0, 0.1))
    if delta >= 1 / n:
        raise UserError(
            f"privacy.delta={delta_text(delta)} is not below 1/n = {largest} (n = {n}): even the release of a random "
            f"record would satisfy it. Leave the key out (default: 1/(n ln n)), or set it below {advised}."
        )
    if delta > 1 / (10 * n):
        return [f"privacy.delta={delta_text(delta)} is above 1/(10 n) = {advised} (n = {n}): a weak guarantee"]
    return []


@dataclass(frozen=True, kw_only=True)
class BudgetPlan:
    """Everything that a run will spend. Holds public constants only."""

    n: int
    """Number of sensitive records, public by declaration."""
    epsilon: float
    """Target, > 0."""
    delta: float
    """In (0, 1/n)."""
    accountant: str
    """The one that composes the mechanisms: "rdp" or "prv"."""
    mechanisms: tuple[Mechanism, ...]
    """In the order of use."""

    def composed(self, accountant: str | None = None) -> float:
        """Epsilon of all mechanisms together, under "rdp" or "prv" (default: the plan's accountant)."""
        return epsilon(self.mechanisms, self.delta, accountant or self.accountant)

    @property
    def remaining(self) -> float:
        """What the plan leaves of the target epsilon, under the plan's accountant."""
        return self.epsilon - self.composed()

    @property
    def training_steps(self) -> int:
        """T, the number of planned DP-SGD steps, >= 0."""
        return sum(m.steps for m in self.mechanisms if m.name == DP_SGD)

    def epsilon_after(self, steps: int) -> float:
        """ε of the run after so many DP-SGD steps, a function of the steps only, so that it may be shown.

        By RDP, and never above what the whole plan costs under its own accountant, which bounds every part of it.

        Args:
            steps: 0..T; 0 counts as 1.
        """
        spent = [
            dataclasses.replace(m, steps=max(1, steps)) if isinstance(m, SampledGaussian) else m
            for m in self.mechanisms
        ]
        return min(self._whole, epsilon(spent, self.delta, "rdp"))

    @cached_property
    def _whole(self) -> float:
        return self.composed()  # by PRV it takes a while, and a progress bar asks at every step

    def mechanism(self, name: str) -> Mechanism:
        """The planned mechanism of that name.

        Raises:
            KeyError: if no mechanism has this name.
        """
        return {m.name: m for m in self.mechanisms}[name]

    def rows(self) -> list[dict[str, Any]]:
        """A table row for each mechanism, as plain values for JSON.

        Returns:
            Dicts with name, kind, sensitivity, noise_multiplier, sampling_rate, steps, `epsilon_alone` (the best
            epsilon of this mechanism by itself) and `share` (of the composed RDP; shares sum to 1).
        """
        parts = shares(self.mechanisms, self.delta)
        return [
            {
                "name": m.name,
                "kind": m.kind,
                "sensitivity": m.sensitivity,
                "noise_multiplier": m.noise_multiplier,
                "sampling_rate": m.sampling_rate,
                "steps": m.steps,
                "epsilon_alone": alone(m, self.delta),
                "share": share,
            }
            for m, share in zip(self.mechanisms, parts, strict=True)
        ]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without loss."""
        return {
            "n": self.n,
            "epsilon": self.epsilon,
            "delta": self.delta,
            "accountant": self.accountant,
            "mechanisms": [m.to_dict() for m in self.mechanisms],
        }


def plan_budget(
    *,
    n: int,
    epsilon: float,
    delta: float,
    accountant: str,
    query: GaussianQuery | None,
    steps: int,
    expected_batch: float,
    clip_norm: float,
    evolution: GaussianHistogram | None = None,
) -> BudgetPlan:
    """The plan of a run: a semantic query, Private Evolution, or neither; then DP-SGD with the least possible noise.

    Opens no data.

    Args:
        n: number of sensitive records, public by declaration.
        epsilon: target, > 0.
        delta: in (0, 1/n).
        accountant: "rdp" or "prv".
        query: the semantic query, if the run has one.
        steps: of DP-SGD, >= 0.
        expected_batch: q n, the mean number of records in a DP-SGD step, in (0, n]; not used without steps.
        clip_norm: C, > 0; not used without steps.
        evolution: the votes of Private Evolution, if the run has them.

    Raises:
        UserError: if the budget or the batch is out of range.
        BudgetError: if the other mechanisms cost more than epsilon, or leave nothing for DP-SGD.
    """
    check_budget(epsilon, delta, n)
    others = tuple(mechanism for mechanism in (query, evolution) if mechanism is not None)
    if steps == 0:
        check_affordable(others, epsilon, delta, accountant)
        return BudgetPlan(n=n, epsilon=epsilon, delta=delta, accountant=accountant, mechanisms=others)
    if not 0 < expected_batch <= n:
        raise UserError(
            f"finetune.batch_size={expected_batch:g} is not in (0, n] with n = {n} sensitive records: the sampling "
            f"rate batch_size / n must be in (0, 1]. Set finetune.batch_size to at most {n}."
        )
    rate = expected_batch / n
    noise_multiplier = calibrate_noise_multiplier(
        others=others, sampling_rate=rate, steps=steps, epsilon=epsilon, delta=delta, accountant=accountant
    )
    training = SampledGaussian(
        name=DP_SGD,
        noise_multiplier=noise_multiplier,
        sampling_rate=rate,
        steps=steps,
        sensitivity=clip_norm,
    )
    return BudgetPlan(n=n, epsilon=epsilon, delta=delta, accountant=accountant, mechanisms=(*others, training))


def check_affordable(mechanisms: Sequence[Mechanism], target: float, delta: float, accountant: str) -> None:
    """Check that mechanisms whose noise is fixed cost at most the target epsilon.

    Raises:
        BudgetError: if they cost more.
    """
    spent = epsilon(mechanisms, delta, accountant)
    if spent > target:
        names = ", ".join(f"{m.name} (noise multiplier {noise_text(m.noise_multiplier)})" for m in mechanisms)
        raise BudgetError(
            f"privacy.epsilon: {names} costs epsilon {epsilon_text(spent)} at delta {delta_text(delta)} "
            f"({accountant}), above {target_text(target)}. {MORE_NOISE}"
        )
