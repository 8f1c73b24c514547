"""The least DP-SGD noise that keeps a run within its budget (PrivImage Thm E.3)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from scipy.optimize import brentq

from accounting.composition import ORDERS, curve_to_epsilon, epsilon, rdp_curve
from accounting.gaussian import gaussian_mu
from accounting.mechanisms import Mechanism, SampledGaussian
from accounting.statements import delta_text, epsilon_text, noise_text, target_text
from configs.errors import UserError
from configs.noise_limits import LARGEST_NOISE

TOLERANCE = 1e-4  # how far the answer may be above the smallest sufficient noise multiplier


class BudgetError(UserError):
    """The budget cannot be met with any amount of DP-SGD noise."""


def calibrate_noise_multiplier(
    *,
    others: Sequence[Mechanism],
    sampling_rate: float,
    steps: int,
    epsilon: float,
    delta: float,
    accountant: str = "rdp",
) -> float:
    """The smallest DP-SGD noise multiplier, to 1e-4, that composes with `others` to at most `epsilon` at `delta`.

    Args:
        others: mechanisms of the run whose noise is fixed.
        sampling_rate: of DP-SGD, in (0, 1].
        steps: of DP-SGD, >= 1.
        epsilon: target, > 0.
        delta: in (0, 1).
        accountant: "rdp" or "prv".

    Returns:
        The upper end of a bracket narrower than 1e-4, so the composed epsilon never exceeds the target.

    Raises:
        BudgetError: if `others` reach the target without DP-SGD, or no noise multiplier up to LARGEST_NOISE meets it.
        UserError: if the sampling rate, the number of steps or the accountant is not allowed.

    Source: PrivImage Thm E.3.
    """
    left_over = _Excess(others, sampling_rate, steps, epsilon, delta, accountant)
    if left_over.without >= epsilon:
        raise BudgetError(_exhausted(others, left_over.without, epsilon, delta, accountant))
    guess = left_over.gaussian_guess()
    step = 0.05 * guess
    if accountant == "rdp" and sampling_rate < 1:
        # A few orders show where the best one is, its neighbours where the root is; the result is checked with all.
        rough = _bracket(left_over.at_orders(ORDERS[::8]), guess, 0.1 * guess, 0.01 * guess)[1]
        best = left_over.best_order(rough, ORDERS[::8])
        near = ORDERS[max(ORDERS.index(best) - 8, 0) :][:17]
        guess = sum(_bracket(left_over.at_orders(near), rough, 0.01 * rough, TOLERANCE / 20)) / 2
        step = TOLERANCE / 4
    return _bracket(left_over, guess, step, TOLERANCE)[1]


class _Excess:
    """How far a noise multiplier's composed epsilon is above the target: decreasing, negative if it suffices."""

    def __init__(
        self, others: Sequence[Mechanism], rate: float, steps: int, target: float, delta: float, accountant: str
    ) -> None:
        self.others, self.rate, self.steps = list(others), rate, steps
        self.target, self.delta, self.accountant = target, delta, accountant
        self._candidate(1.0)  # refuses an impossible rate or number of steps
        self.without = epsilon(self.others, delta, accountant)

    def __call__(self, noise_multiplier: float) -> float:
        return epsilon([*self.others, self._candidate(noise_multiplier)], self.delta, self.accountant) - self.target

    def at_orders(self, orders: tuple[float, ...]) -> Callable[[float], float]:
        """The same excess by RDP at a few orders; the part of the others is computed once."""
        fixed = rdp_curve(self.others, orders)

        def excess(noise_multiplier: float) -> float:
            curve = fixed + rdp_curve([self._candidate(noise_multiplier)], orders)
            return curve_to_epsilon(curve, self.delta, orders)[0] - self.target

        return excess

    def best_order(self, noise_multiplier: float, orders: tuple[float, ...]) -> float:
        """The one of `orders` that gives the composed epsilon."""
        curve = rdp_curve([*self.others, self._candidate(noise_multiplier)], orders)
        return orders[curve_to_epsilon(curve, self.delta, orders)[1]]

    def gaussian_guess(self) -> float:
        """A guess by the central limit: T steps at rate q act as one Gaussian with mu = q sqrt(T (e^(1/sigma^2) - 1)).

        Source: Bu et al. 2020, "Deep learning with Gaussian differential privacy", eq. (5).
        """
        whole = gaussian_mu(self.target, self.delta) ** 2
        spent = sum(m.steps * m.sampling_rate**2 / m.noise_multiplier**2 for m in self.others)
        left = max(whole - spent, whole / 100)
        return 1 / math.sqrt(math.log1p(left / (self.rate**2 * self.steps)))

    def _candidate(self, noise_multiplier: float) -> SampledGaussian:
        return SampledGaussian(
            name="dp-sgd",
            noise_multiplier=noise_multiplier,
            sampling_rate=self.rate,
            steps=self.steps,
            sensitivity=1.0,
        )


def _bracket(excess: Callable[[float], float], guess: float, step: float, width: float) -> tuple[float, float]:
    """low < high with excess(low) > 0 >= excess(high) and high - low < width, for a decreasing `excess`.

    The search starts at `guess`, `step` on either side; both ends move until the root is between them.
    """
    low, high = max(guess - step, guess / 2), guess + step
    at_low, at_high = excess(low), excess(high)
    while at_high > 0:
        if high > LARGEST_NOISE / 4:  # the next one is up to four times as great
            raise BudgetError(
                "privacy.epsilon: no noise multiplier of DP-SGD meets the budget. Raise privacy.epsilon, or lower "
                "finetune.steps or finetune.batch_size; privacy.accountant=prv can state an epsilon below 0.15, which "
                "rdp cannot."
            )
        step *= 3
        low, at_low, high = high, at_high, high + step
        at_high = excess(high)
    while at_low <= 0:
        if low < width:
            return 0.0, low  # hardly any noise is needed: the answer is known to the requested precision
        step *= 3
        high, at_high, low = low, at_low, max(low - step, low / 2)
        at_low = excess(low)
    while high - low >= width:
        low, high, at_low, at_high = _narrow(excess, low, high, at_low, at_high, width)
    return low, high


def _narrow(
    excess: Callable[[float], float], low: float, high: float, at_low: float, at_high: float, width: float
) -> tuple[float, float, float, float]:
    """A smaller bracket: a step of width / 4 on either side of brentq's root, both ends evaluated."""
    known = {low: at_low, high: at_high}

    def bounded(x: float) -> float:
        if x not in known:
            known[x] = excess(x)
        return max(min(known[x], 1e300), -1e300)

    root = brentq(bounded, low, high, xtol=width / 8, rtol=1e-12)
    for x in (root - width / 4, root + width / 4):
        if low < x < high:
            bounded(x)
    low = max(x for x in known if known[x] > 0)
    high = min(x for x in known if known[x] <= 0)
    return low, high, known[low], known[high]


MORE_NOISE = (
    "Raise query.noise_multiplier (if it is auto: lower query.budget_share), the same key of evolution, or "
    "privacy.epsilon."
)


def _exhausted(others: Sequence[Mechanism], spent: float, target: float, delta: float, accountant: str) -> str:
    names = ", ".join(f"{m.name} (noise multiplier {noise_text(m.noise_multiplier)})" for m in others)
    return (
        f"privacy.epsilon: {names} alone costs epsilon {epsilon_text(spent)} at delta {delta_text(delta)} "
        f"({accountant}), which leaves nothing of the target {target_text(target)} for DP-SGD. {MORE_NOISE}"
    )
