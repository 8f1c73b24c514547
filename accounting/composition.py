"""Epsilon of a list of mechanisms: by Rényi DP, by privacy loss random variables (PRV), or exactly if possible."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from opacus.accountants.analysis.rdp import compute_rdp, get_privacy_spent

from accounting.gaussian import gaussian_epsilon
from accounting.mechanisms import Mechanism
from accounting.mixture import Mixture
from accounting.prv import Part, prv_bound, tail
from configs.errors import UserError

ORDERS: tuple[float, ...] = (*(1 + x / 10 for x in range(1, 100)), *(float(x) for x in range(12, 64)))
# The best order of a nearly free mechanism is far above 63, where log(1/delta) / (order - 1) by itself is still 0.1.
HIGH_ORDERS: tuple[float, ...] = tuple(np.unique(np.geomspace(64, 40_000, 200).round()).tolist())

_LARGEST_SAMPLED_ORDER = 1000  # binomial coefficients of higher orders overflow a float
_LARGEST_PRV_EPSILON = 100.0  # above it exp() of the privacy loss overflows, and no accountant's number is useful
_SMALLEST_PRV_EPSILON = 1e-3  # below it the grid does not get finer
_GRID_ERROR = 0.002  # of epsilon


@lru_cache(maxsize=512)
def _renyi(
    sampling_rate: float, noise_multiplier: float, orders: tuple[float, ...], records: int = 1
) -> NDArray[np.float64]:
    """RDP of one step of the sampled Gaussian mechanism at each order, for one or more records; inf without a bound.

    Source: Mironov et al. 2019, §3.3, for one record; `Mixture` for more.
    """
    if records > 1 and sampling_rate < 1:
        return Mixture(sampling_rate, noise_multiplier, records).renyi(orders)
    noise_multiplier = noise_multiplier / records
    values = np.full(len(orders), math.inf)
    for i, order in enumerate(orders):
        if sampling_rate < 1 and order > _LARGEST_SAMPLED_ORDER:
            continue
        try:
            value = compute_rdp(q=sampling_rate, noise_multiplier=noise_multiplier, steps=1, orders=[order])[0]
        except (ValueError, OverflowError):  # an alternating series that has lost its digits: no bound at this order
            continue
        # Rounding can make a tiny divergence negative.
        values[i] = math.inf if math.isnan(value) else max(float(value), 0.0)
    values.setflags(write=False)
    return values


def rdp_curve(
    mechanisms: Sequence[Mechanism], orders: tuple[float, ...] = ORDERS, records: int = 1
) -> NDArray[np.float64]:
    """Summed RDP of the mechanisms at each order.

    Args:
        orders: Rényi orders, each > 1.
        records: how many records are added or removed together, >= 1.

    Returns:
        float64 [orders]; inf at an order without a bound.

    Source: PrivImage Thm E.2 (composition).
    """
    total = np.zeros(len(orders))
    for m in mechanisms:
        total = total + _renyi(m.sampling_rate, m.noise_multiplier, orders, records) * m.steps
    return total


def curve_to_epsilon(curve: NDArray[np.float64], delta: float, orders: tuple[float, ...] = ORDERS) -> tuple[float, int]:
    """Epsilon at `delta` of an RDP curve, and the index of the order that gives it.

    Args:
        curve: RDP at each order, [orders], as from `rdp_curve`.
        delta: in (0, 1).
        orders: Rényi orders of the curve, each > 1.

    Returns:
        Epsilon >= 0 and the index; inf and 0 if no order gives a bound.

    Source: Balle et al. 2020, Thm 21.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the best order may be the last one: the bound still holds
        epsilon, order = get_privacy_spent(orders=np.asarray(orders), rdp=curve, delta=delta)
    if not math.isfinite(epsilon):
        return math.inf, 0
    return max(float(epsilon), 0.0), orders.index(float(order))


def rdp_epsilon(
    mechanisms: Sequence[Mechanism], delta: float, orders: tuple[float, ...] = ORDERS, records: int = 1
) -> float:
    """Epsilon at `delta` by Rényi DP at the given orders only; inf if they give no bound.

    Args:
        delta: in (0, 1).
        orders: Rényi orders, each > 1.
        records: how many records are added or removed together, >= 1.
    """
    if not mechanisms:
        return 0.0
    return curve_to_epsilon(rdp_curve(mechanisms, orders, records), delta, orders)[0]


def prv_epsilon(mechanisms: Sequence[Mechanism], delta: float, records: int = 1) -> float:
    """Epsilon at `delta` by privacy loss random variables: an upper bound, grid error at most 0.002 of epsilon.

    The grid is coarser if that needs more than `prv.LARGEST_GRID` points (epsilon below about 0.1 with thousands of
    steps). Falls back on Rényi DP, which is an upper bound too, above epsilon 100 or if delta is too small for the
    grid.

    Args:
        delta: in (0, 1).
        records: how many records are added or removed together, >= 1; both directions are composed.
    """
    if not mechanisms:
        return 0.0
    steps: dict[tuple[float, float], int] = {}
    for m in mechanisms:
        if m.sampling_rate < 1:
            pair = (m.sampling_rate, m.noise_multiplier)
            steps[pair] = steps.get(pair, 0) + m.steps
    mu = _mu([m for m in mechanisms if m.sampling_rate == 1])
    parts = [(rate, multiplier, count) for (rate, multiplier), count in sorted(steps.items())]
    # Gaussians over every record compose exactly to a single one, so they are one variable on the grid.
    by_rdp = rdp_epsilon(mechanisms, delta, records=records)
    return _prv_epsilon(tuple(parts + ([(1.0, 1 / mu, 1)] if mu else [])), delta, by_rdp, records)


@lru_cache(maxsize=256)
def _prv_epsilon(parts: tuple[Part, ...], delta: float, by_rdp: float, records: int) -> float:
    if by_rdp > _LARGEST_PRV_EPSILON:
        return by_rdp
    try:
        half_width = _loss_range(parts, tail(delta), records)
        wanted = 0.05 * max(by_rdp, _SMALLEST_PRV_EPSILON)
        for _ in range(3):  # from a coarse grid to one that fits the epsilon it found
            bound, error = prv_bound(parts, delta, half_width=half_width, grid_error=wanted, records=records)
            if error > 1.01 * wanted or error <= _GRID_ERROR * bound:
                break
            wanted = 0.95 * _GRID_ERROR * max(bound - error, _SMALLEST_PRV_EPSILON)
        return min(by_rdp, max(bound, 0.0))
    except ArithmeticError:
        return by_rdp


def _loss_range(parts: Sequence[Part], missed: float, records: int) -> float:
    """A bound that the privacy loss exceeds with probability `missed` at most, plus 3 as a reserve.

    It holds in both directions: RDP is that of the worse one. Source: Gopi et al. 2021, Remark 5.6.
    """
    curves = [_renyi(rate, multiplier, ORDERS, records) for rate, multiplier, _ in parts]
    counts = [steps for _, _, steps in parts]
    whole = np.sum([curve * count for curve, count in zip(curves, counts, strict=True)], axis=0)
    each = [curve_to_epsilon(curve, missed / (8 * sum(counts)))[0] for curve in curves]
    return max(curve_to_epsilon(whole, missed / 4)[0], *each) + 3


_ACCOUNTANTS: dict[str, Callable[..., float]] = {"rdp": rdp_epsilon, "prv": prv_epsilon}


def is_exact(mechanisms: Sequence[Mechanism]) -> bool:
    """Whether every mechanism reads all records: such Gaussians compose exactly, under any accountant."""
    return all(mechanism.sampling_rate == 1 for mechanism in mechanisms)


def epsilon(mechanisms: Sequence[Mechanism], delta: float, accountant: str = "rdp", records: int = 1) -> float:
    """Composed epsilon at `delta`; exact, under either accountant, if every mechanism reads all records.

    Args:
        delta: in (0, 1).
        accountant: "rdp" or "prv".
        records: how many records are added or removed together, >= 1.

    Returns:
        Epsilon >= 0; inf if the accountant has no bound for so many records.

    Raises:
        UserError: if there is no such accountant.
    """
    if accountant not in _ACCOUNTANTS:
        raise UserError(f"privacy.accountant: there is no {accountant!r} (there are: {', '.join(_ACCOUNTANTS)})")
    if is_exact(mechanisms):
        return gaussian_epsilon(records * _mu(mechanisms), delta)
    return _ACCOUNTANTS[accountant](mechanisms, delta, records=records)


def alone(mechanism: Mechanism, delta: float) -> float:
    """The best epsilon at `delta` that can be stated of one mechanism without a grid.

    It is exact if the mechanism reads every record. Otherwise it is the smaller of two bounds: RDP at all orders, and
    the exact epsilon of the same noise without sampling, which sampling can only lower.
    """
    exact = gaussian_epsilon(_mu([mechanism]), delta)
    return exact if mechanism.sampling_rate == 1 else min(exact, rdp_epsilon([mechanism], delta, ORDERS + HIGH_ORDERS))


def shares(mechanisms: Sequence[Mechanism], delta: float) -> list[float]:
    """Each mechanism's share of the composed RDP at the order that gives epsilon; the shares sum to 1."""
    total = rdp_curve(mechanisms)
    _, best = curve_to_epsilon(total, delta)
    return [float(rdp_curve([m])[best] / total[best]) for m in mechanisms]


def _mu(mechanisms: Sequence[Mechanism]) -> float:
    """sqrt(sum steps / noise_multiplier^2): the one Gaussian that Gaussian mechanisms compose to."""
    return math.sqrt(sum(m.steps / m.noise_multiplier**2 for m in mechanisms))
