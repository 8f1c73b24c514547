"""Time and memory of the nearest neighbours that Private Evolution needs, against the matrix product alone.

Run from the repository: `python -m benchmarks.nearest [--count 60000] [--features 512] [--k 1] [--rounded]
[--rounds 3]`. Both take turns in one process on the same random features. The product is the one that all distances
come from, in the same parts, its values dropped.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from evolution.nearest import CANDIDATES, RECORDS, nearest


def product(queries: Tensor, candidates: Tensor) -> None:
    """The matrix product, part by part, into one buffer."""
    buffer = queries.new_empty(RECORDS, CANDIDATES)
    for part in queries.split(RECORDS):
        for piece in candidates.split(CANDIDATES):
            torch.mm(part, piece.T, out=buffer.flatten()[: len(part) * len(piece)].view(len(part), len(piece)))


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """Wall-clock time of some work."""
    start = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


@torch.inference_mode()
def main() -> None:
    """Print the medians and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=60_000, help="queries, and candidates (default 60000)")
    parser.add_argument("--features", type=int, default=512, help="numbers a record (default 512)")
    parser.add_argument("--k", type=int, default=1, help="nearest ones of each (default 1)")
    parser.add_argument("--rounded", action="store_true", help="let rounding decide, as averages of votes do")
    parser.add_argument("--rounds", type=int, default=3, help="rounds (default 3)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    options = parser.parse_args()
    device = torch.device(options.device)
    queries, candidates = (torch.randn(options.count, options.features, device=device) for _ in range(2))
    works: dict[str, Callable[[], object]] = {
        "matrix product": lambda: product(queries, candidates),
        f"nearest {options.k}": lambda: nearest(queries, candidates, options.k, exact=not options.rounded),
    }
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(options.rounds):
        for name, work in works.items():
            times[name].append(seconds(work, device))
    medians = {name: statistics.median(values) for name, values in times.items()}
    print(f"{options.count} x {options.count} in {options.features} dimensions, {device}, {options.rounds} rounds")
    for name, value in medians.items():
        print(f"{name:<16}{value:8.2f} s  {value / medians['matrix product']:.2f}")
    print(f"peak memory of the process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


if __name__ == "__main__":
    main()
