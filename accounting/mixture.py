"""One step of the sampled Gaussian mechanism for several records together: a Gaussian against a mixture of them."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import comb, ndtr, xlog1py, xlogy

_REACH = 12.0  # standard deviations: beyond them is less than e^-72 of an integral of a Rényi divergence
_LARGEST_HALF = 2**18  # points on either side of 0; an order that needs more gets no bound
_PANEL = np.polynomial.legendre.leggauss(20)


class Mixture:
    """P, the noised sum with the group, against Q, the noised sum without it, in units of the sensitivity.

    Each of `records` records takes part with probability `sampling_rate` and then moves the sum by at most 1. So
    P = sum_k Bin(records, sampling_rate)(k) N(k, s^2) and Q = N(0, s^2), with s = `noise_multiplier`.

    In both directions this pair dominates every other group of that size, in any dimension. The likelihood ratio of a
    sampled subset S with sum v_S is exp(X_S - Var X_S / 2) with X_S = <x, v_S> / s^2, where
    Cov(X_S, X_S') = <v_S, v_S'> / s^2 is at most |S| |S'| / s^2. By Kahane's convexity inequality, the mean of any
    convex function of the mixture of these ratios is greatest if all records move the sum in the same direction, by 1.
    The other records are the same on both sides, and divergences are jointly convex.

    Args:
        sampling_rate: Poisson probability of each record, in (0, 1].
        noise_multiplier: noise std divided by the sensitivity, > 0.
        records: size of the group, >= 1.

    Source: Ganesh 2024, "Tight group-level DP guarantees for DP-SGD with sampling via mixture of Gaussians
    mechanisms"; Choquette-Choo et al. 2024, "Privacy amplification for matrix mechanisms", Cor. 4.7; Kahane 1985,
    "Sur le chaos multiplicatif".
    """

    def __init__(self, sampling_rate: float, noise_multiplier: float, records: int = 1) -> None:
        counts = np.arange(records + 1)
        logs = np.log(comb(records, counts)) + xlogy(counts, sampling_rate) + xlog1py(records - counts, -sampling_rate)
        present = (counts > 0) & np.isfinite(logs)
        self.records, self.deviation, self.variance = records, noise_multiplier, noise_multiplier**2
        self.log_absent = float(logs[0])  # log of the probability that no record takes part
        self.counts, self.log_weights = counts[present].tolist(), logs[present].tolist()

    def log_ratio(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """log P/Q at each x [N]: increasing and convex."""
        ratio: NDArray[np.float64] = np.logaddexp(self.log_absent, self._present(x)[0])
        return ratio

    def where(self, log_ratio: NDArray[np.float64]) -> NDArray[np.float64]:
        """The x at which log P/Q has each of these values [N]; -inf for values that it never has (<= `log_absent`)."""
        t = np.asarray(log_ratio, dtype=float)
        above = t > self.log_absent
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            wanted = np.where(above, t + np.log(-np.expm1(self.log_absent - t)), 0.0)
        starts = [(wanted - w) * self.variance / k + k / 2 for k, w in zip(self.counts, self.log_weights, strict=True)]
        x = np.minimum.reduce(starts)  # right of the root or at it: Newton's steps of a convex function lead to it
        for _ in range(50 if len(self.counts) > 1 else 0):
            value, mean = self._present(x)
            step = (value - wanted) * self.variance / mean
            x = x - step
            if np.all(np.abs(step) <= 1e-14 * (self.deviation + np.abs(x))):
                break
        return np.where(above, x, -math.inf)

    def renyi(self, orders: tuple[float, ...]) -> NDArray[np.float64]:
        """The greater of the Rényi divergences of P from Q and of Q from P, at each order.

        The trapezoidal rule computes them with an error below 1e-14 of the integral. Its step follows from the zeros of
        P/Q, which are at least pi s^2 away from the real axis: the polynomial in exp(x / s^2) has real roots, because
        its weights are those of a binomial distribution times exp(-k^2 / 2 s^2).

        Args:
            orders: each > 1.

        Returns:
            float64 [orders], >= 0; inf at an order that needs too many points and gets no bound.
        """
        fineness = max(4.0, 0.75 * math.sqrt(self.records * max(orders)))
        step = min(self.deviation / 4, self.variance / fineness)
        halves = [math.ceil((order * self.records + _REACH * self.deviation) / step) for order in orders]
        middle = max((half for half in halves if half <= _LARGEST_HALF), default=0)
        x: NDArray[np.float64] = step * np.arange(-middle, middle + 1, dtype=np.float64)
        log_q = -(x**2) / (2 * self.variance) + math.log(step / (self.deviation * math.sqrt(2 * math.pi)))
        ratio = self.log_ratio(x)
        values = np.full(len(orders), math.inf)
        for i, (order, half) in enumerate(zip(orders, halves, strict=True)):
            if half <= _LARGEST_HALF:
                near = slice(middle - half, middle + half + 1)
                both = (log_q[near] + power * ratio[near] for power in (order, 1 - order))
                values[i] = max(0.0, *(_log_sum(terms) for terms in both)) / (order - 1)
        return values

    def _present(self, x: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """log of the part of P/Q in which some record takes part, and the mean number of records in that part."""
        terms = [w + (2 * x - k) * k / (2 * self.variance) for k, w in zip(self.counts, self.log_weights, strict=True)]
        largest = np.maximum.reduce(terms)
        total, weighted = np.zeros_like(largest), np.zeros_like(largest)
        for k, term in zip(self.counts, terms, strict=True):
            part = np.exp(term - largest)
            total += part
            weighted += k * part
        return largest + np.log(total), weighted / total


class PrivacyLoss:
    """The privacy loss of a group of records.

    Args:
        mixture: the pair P, Q.
        removed: whether the group is removed (log P/Q of a draw from P) or added (log Q/P of a draw from Q).
    """

    def __init__(self, mixture: Mixture, *, removed: bool) -> None:
        self.mixture, self.removed = mixture, removed
        reach = _REACH * mixture.deviation
        ends = mixture.log_ratio(np.array([-reach, mixture.records + reach])) * (1 if removed else -1)
        self._low, self._high = sorted(ends.tolist())  # the probability beyond them is below 1e-32

    def cdf(self, t: NDArray[np.float64]) -> NDArray[np.float64]:
        """The probability that the loss is at most t, [N], for ascending values t [N]."""
        first, last = np.searchsorted(t, (self._low, self._high))
        x = self.mixture.where(t[first:last] if self.removed else -t[first:last])
        inside = self._cdf_of_p(x) if self.removed else ndtr(-x / self.mixture.deviation)
        return np.concatenate([np.zeros(first), inside, np.ones(len(t) - last)])

    def mean_between(self, low: float, high: float) -> float:
        """The mean of the loss times the indicator of low <= loss <= high, by Gauss-Legendre quadrature."""
        mixture = self.mixture
        low, high = max(low, self._low), min(high, self._high)
        ends = mixture.where(np.array([low, high] if self.removed else [-high, -low]))
        left, right = (float(x) for x in np.maximum(ends, -_REACH * mixture.deviation))
        if not left < right:
            return 0.0
        panels = math.ceil((right - left) / min(mixture.deviation, 4 * mixture.variance))
        half = (right - left) / panels / 2
        x = (left + half * (2 * np.arange(panels)[:, None] + 1 + _PANEL[0])).ravel()
        ratio = mixture.log_ratio(x)
        log_q = -(x**2) / (2 * mixture.variance) - math.log(mixture.deviation * math.sqrt(2 * math.pi))
        terms = np.exp(log_q + ratio) * ratio if self.removed else -np.exp(log_q) * ratio
        return float(half * np.dot(np.tile(_PANEL[1], panels), terms))

    def _cdf_of_p(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        mixture = self.mixture
        total: NDArray[np.float64] = math.exp(mixture.log_absent) * ndtr(x / mixture.deviation)
        for k, w in zip(mixture.counts, mixture.log_weights, strict=True):
            total += math.exp(w) * ndtr((x - k) / mixture.deviation)
        return total


def _log_sum(terms: NDArray[np.float64]) -> float:
    largest = float(terms.max())
    return largest + math.log(float(np.exp(terms - largest).sum()))
