"""Numerical composition of privacy loss random variables (Gopi et al. 2021) on a grid fine enough for small epsilon."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from opacus.accountants.analysis.prv import Domain, compose_heterogeneous
from opacus.accountants.analysis.prv.prvs import DiscretePRV
from scipy.fft import next_fast_len

from accounting.mixture import Mixture, PrivacyLoss

LARGEST_GRID = 2**22  # points; keeps a composition within a few seconds and a few hundred megabytes

Part = tuple[float, float, int]  # sampling rate, noise multiplier, steps


def tail(delta: float) -> float:
    """The part of delta that may be outside the grid."""
    return delta / 1000


def prv_bound(
    parts: Sequence[Part], delta: float, *, half_width: float, grid_error: float, records: int = 1
) -> tuple[float, float]:
    """An upper bound on epsilon at `delta` of composed sampled Gaussian mechanisms.

    It is the greater of the bounds for adding and for removing records. Removing is worse in a single step; for a
    composition this has not been proved.

    Args:
        parts: the mechanisms.
        delta: in (0, 1).
        half_width: of the grid; beyond it is less than `tail(delta)` of the loss, by another accountant.
        grid_error: how far the bound may be above the estimate, > 0; exceeded if that needs more than LARGEST_GRID
            points.
        records: how many records are added or removed together, >= 1.

    Returns:
        The bound, and the grid error that it contains.

    Raises:
        ArithmeticError: if the grid cannot resolve delta.

    Source: Gopi et al. 2021, Alg. 1 and Thm 5.5.
    """
    mixtures = [Mixture(rate, multiplier, records) for rate, multiplier, _ in parts]
    counts = [steps for _, _, steps in parts]
    rounding = np.sqrt(sum(counts) * np.log(12 / tail(delta)) / 2)  # error of the sum divided by that of one point
    domain = _domain(half_width, max(grid_error / rounding, 2 * half_width / LARGEST_GRID))
    grid_error = float(domain.dt * rounding)
    bounds = [
        directed_bound([PrivacyLoss(mixture, removed=removed) for mixture in mixtures], counts, delta, domain)
        for removed in (True, False)
    ]
    return max(bounds) + grid_error, grid_error


def directed_bound(losses: Sequence[PrivacyLoss], counts: Sequence[int], delta: float, domain: Domain) -> float:
    """An upper bound on epsilon at `delta` of composed losses of one direction, without the error of the grid.

    Args:
        losses: one for each mechanism.
        counts: steps of each mechanism, >= 1.
        delta: in (0, 1).
        domain: the grid.

    Raises:
        ArithmeticError: if the grid cannot resolve delta.
    """
    try:
        composed = compose_heterogeneous([discretised(loss, domain) for loss in losses], list(counts))
        with np.errstate(all="ignore"):
            _, _, upper = composed.compute_epsilon(delta, tail(delta), 0.0)
    except (RuntimeError, ValueError) as error:
        raise ArithmeticError(f"no PRV bound at delta {delta}: {error}") from error
    if not np.isfinite(upper):
        raise ArithmeticError(f"no finite PRV bound at delta {delta}")
    return float(upper)


def discretised(loss: PrivacyLoss, domain: Domain) -> DiscretePRV:
    """A loss, truncated to the domain and rounded to its points, which are then shifted so that its mean stays exact.

    An error of the mean would be multiplied by the number of steps.

    Raises:
        ArithmeticError: if the shift is half a point or more: the domain cannot hold the loss.

    Source: Gopi et al. 2021, Alg. 2.
    """
    edges = domain.t_min + domain.dt * (np.arange(domain.size + 1) - 0.5)
    edges[0], edges[-1] = domain.t_min, domain.t_max
    masses = np.diff(loss.cdf(edges))
    kept = masses.sum()
    if not kept > 0:
        raise ArithmeticError("the grid does not hold the privacy loss")
    masses /= kept
    shift = loss.mean_between(domain.t_min, domain.t_max) / kept - float(np.dot(domain.ts, masses))
    if not abs(shift) < domain.dt / 2:
        raise ArithmeticError("the grid does not hold the privacy loss")
    return DiscretePRV(pmf=masses, domain=domain.shift_right(shift))


def _domain(half_width: float, mesh: float) -> Domain:
    """A grid from -half_width to half_width that contains 0; its size makes the FFT fast (a prime: 10 times slower)."""
    size = next_fast_len(2 * int(np.ceil(half_width / mesh)) + 2, real=True)
    while size % 2:
        size = next_fast_len(size + 1, real=True)
    half = size // 2 - 1
    return Domain(-half * mesh, (half + 1) * mesh, size)
