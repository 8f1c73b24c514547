"""Time the calibration of the DP-SGD noise against other libraries, in the paper's CIFAR-10 setting.

Run from the repository: `python -m benchmarks.calibration [--rounds N] [--json FILE]`. The peers are run in turns, so
that a slow spell of the machine hits all of them, and start each time without anything cached. Ours also pays for the
semantic query (epsilon 0.0046 alone), which the peers' functions leave out, and returns sigma to 1e-4.
The last row is ours by PRV, in both directions.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import dp_accounting
from dp_accounting.rdp import RdpAccountant
from opacus.accountants.utils import get_noise_multiplier

from accounting import composition
from accounting.calibration import calibrate_noise_multiplier
from accounting.composition import ORDERS, epsilon
from accounting.mechanisms import GaussianQuery, SampledGaussian

QUERY = GaussianQuery(name="semantic query", noise_multiplier=484, sensitivity=1)
RATE, STEPS, EPSILON, DELTA = 16384 / 50000, 152, 10.0, 1e-5


def ours(accountant: str = "rdp") -> float:
    """calibrate_noise_multiplier of this package, without what earlier calls have cached."""
    composition._renyi.cache_clear()
    composition._prv_epsilon.cache_clear()
    return calibrate_noise_multiplier(
        others=[QUERY], sampling_rate=RATE, steps=STEPS, epsilon=EPSILON, delta=DELTA, accountant=accountant
    )


def opacus() -> float:
    """opacus.accountants.utils.get_noise_multiplier with its defaults (stops 0.01 of epsilon below the target)."""
    return get_noise_multiplier(target_epsilon=EPSILON, target_delta=DELTA, sample_rate=RATE, steps=STEPS)


def google() -> float:
    """dp_accounting.calibrate_dp_mechanism at the same orders, to 1e-4."""

    def event(sigma: float) -> dp_accounting.DpEvent:
        step = dp_accounting.PoissonSampledDpEvent(RATE, dp_accounting.GaussianDpEvent(sigma))
        return dp_accounting.SelfComposedDpEvent(step, STEPS)

    interval = dp_accounting.ExplicitBracketInterval(0.5, 20)
    return dp_accounting.calibrate_dp_mechanism(
        lambda: RdpAccountant(list(ORDERS)), event, EPSILON, DELTA, interval, tol=1e-4
    )


PEERS: dict[str, Callable[[], float]] = {
    "privimage": ours,
    "opacus": opacus,
    "dp-accounting": google,
    "privimage, prv": lambda: ours("prv"),
}


def measure(rounds: int) -> list[dict[str, float | str]]:
    """One row a peer: median, least and greatest seconds, its sigma and the epsilon that sigma has with the query."""
    seconds: dict[str, list[float]] = {name: [] for name in PEERS}
    sigma: dict[str, float] = {}
    for _ in range(rounds):
        for name, calibrate in PEERS.items():
            start = time.perf_counter()
            sigma[name] = float(calibrate())
            seconds[name].append(time.perf_counter() - start)

    def composed(name: str, value: float) -> float:
        training = SampledGaussian(
            name="dp-sgd", noise_multiplier=value, sampling_rate=RATE, steps=STEPS, sensitivity=1
        )
        return epsilon([QUERY, training], DELTA, "prv" if name.endswith("prv") else "rdp")

    return [
        {
            "peer": name,
            "seconds_median": statistics.median(seconds[name]),
            "seconds_min": min(seconds[name]),
            "seconds_max": max(seconds[name]),
            "noise_multiplier": sigma[name],
            "epsilon_with_query": composed(name, sigma[name]),
        }
        for name in PEERS
    ]


def main() -> None:
    """Print the table and, if asked, write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=7, help="interleaved rounds, of which the median counts")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows here too")
    arguments = parser.parse_args()
    logging.getLogger("absl").setLevel(logging.ERROR)  # dp-accounting reports every order that it leaves out
    rows = measure(arguments.rounds)
    print(f"calibration to epsilon {EPSILON:g}, delta {DELTA:g}, q {RATE:g}, T {STEPS} ({arguments.rounds} rounds)")
    print(f"{'':16}{'median s':>10}{'min s':>8}{'max s':>8}{'sigma':>10}{'epsilon with query':>20}")
    for row in rows:
        print(
            f"{row['peer']:16}{row['seconds_median']:10.3f}{row['seconds_min']:8.3f}{row['seconds_max']:8.3f}"
            f"{row['noise_multiplier']:10.5f}{row['epsilon_with_query']:20.4f}"
        )
    if arguments.json:
        arguments.json.write_text(json.dumps({"rounds": arguments.rounds, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
