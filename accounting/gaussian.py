"""The Gaussian mechanism's exact privacy (Balle and Wang 2018, Thm 8; Dong et al. 2022, Cor. 2.13)."""

from __future__ import annotations

import math

from scipy.optimize import brentq
from scipy.special import erf, log_ndtr


def _log_delta(epsilon: float, mu: float) -> float:
    """log of delta(eps) = Phi(-eps/mu + mu/2) - e^eps Phi(-eps/mu - mu/2), without leaving log space."""
    first = log_ndtr(-epsilon / mu + mu / 2)
    second = epsilon + log_ndtr(-epsilon / mu - mu / 2)
    # Rounding can make the two terms equal far out in the tail, where delta is 0 for every purpose.
    return -math.inf if second >= first else float(first + math.log(-math.expm1(second - first)))


def gaussian_epsilon(mu: float, delta: float) -> float:
    """Exact epsilon at `delta` of Gaussian mechanisms whose sensitivity / noise ratios have root sum of squares `mu`.

    Args:
        mu: sqrt(sum steps / noise_multiplier^2), >= 0.
        delta: in (0, 1).
    """
    if mu == 0 or delta >= erf(mu / math.sqrt(8)):
        return 0.0
    # delta(eps) <= Phi(-x) <= exp(-x^2 / 2) with x = eps/mu - mu/2, which bounds the root from above.
    upper = mu * (mu / 2 + math.sqrt(2 * math.log(1 / delta)))
    excess = max(math.log(delta), -1e300)
    return float(brentq(lambda e: max(_log_delta(e, mu), -1e300) - excess, 0.0, upper, xtol=1e-15, rtol=1e-14))


def gaussian_mu(epsilon: float, delta: float) -> float:
    """The mu whose exact epsilon at `delta` is `epsilon` (> 0): the inverse of `gaussian_epsilon`."""
    upper = 1.0
    while gaussian_epsilon(upper, delta) < epsilon:
        upper *= 2
    return float(brentq(lambda mu: gaussian_epsilon(mu, delta) - epsilon, 0.0, upper, xtol=1e-24, rtol=1e-14))
