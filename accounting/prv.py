"""Numerical composition of privacy loss random variables (Gopi et al. 2021) on a grid fine enough for small epsilon."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from opacus.accountants.analysis.prv import (
    Domain,
    PoissonSubsampledGaussianPRV,
    TruncatedPrivacyRandomVariable,
    compose_heterogeneous,
    discretize,
)
from scipy.fft import next_fast_len

LARGEST_GRID = 2**22  # points; keeps a composition within a few seconds and a few hundred megabytes


Part = tuple[float, float, int]  # sampling rate, noise multiplier, steps


def tail(delta: float) -> float:
    """The part of delta that the grid may lose."""
    return delta / 1000


def prv_bound(parts: Sequence[Part], delta: float, *, half_width: float, grid_error: float) -> tuple[float, float]:
    """An upper bound on epsilon at `delta` of composed sampled Gaussian mechanisms, and the grid error inside it.

    half_width: the grid's; beyond it lies less than `tail(delta)` of the loss, by another accountant.
    grid_error: how far the bound may lie above the estimate; more where LARGEST_GRID points cannot give it.
    The privacy loss is that of removing a record, which dominates for Poisson sampling. Touches no data.
    Raises ArithmeticError where the grid cannot resolve delta. Source: Gopi et al. 2021, Alg. 1 and Thm 5.5.
    """
    losses = [PoissonSubsampledGaussianPRV(rate, multiplier) for rate, multiplier, _ in parts]
    counts = [steps for _, _, steps in parts]
    delta_error = tail(delta)
    # Rate 1 takes log(0) for the lower end of the loss, which is not there.
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        rounding = np.sqrt(sum(counts) * np.log(12 / delta_error) / 2)  # error of the sum over error of one point
        domain = _domain(half_width, max(grid_error / rounding, 2 * half_width / LARGEST_GRID))
        grid_error = float(domain.dt * rounding)
        truncated = [TruncatedPrivacyRandomVariable(loss, domain.t_min, domain.t_max) for loss in losses]
        try:
            composed = compose_heterogeneous([discretize(loss, domain) for loss in truncated], counts)
            _, _, upper = composed.compute_epsilon(delta, delta_error, grid_error)
        except (RuntimeError, ValueError) as error:
            raise ArithmeticError(f"no PRV bound at delta {delta:g}: {error}") from error
    if not np.isfinite(upper):
        raise ArithmeticError(f"no finite PRV bound at delta {delta:g}")
    return float(upper), grid_error


def _domain(half_width: float, mesh: float) -> Domain:
    """Points from -half_width to half_width, 0 among them, in a number that the FFT likes (a prime costs tenfold)."""
    size = next_fast_len(2 * int(np.ceil(half_width / mesh)) + 2, real=True)
    while size % 2:
        size = next_fast_len(size + 1, real=True)
    half = size // 2 - 1
    return Domain(-half * mesh, (half + 1) * mesh, size)
