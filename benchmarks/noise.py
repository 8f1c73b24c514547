"""Time the noise of one DP-SGD step: keyed, against the plain formula and against a generator that is not secure.

Run from the repository: `python -m benchmarks.noise [--rounds N] [--json FILE]`. The peers are run in turns, so that a
slow spell of the machine hits all of them. The keyed noise is whole numbers of the sum's grid, int64; the others are
float32. All are made on the CPU, where training would take them from; in training the noise is drawn while gradients
are computed, so what a step waits for is less, and mostly nothing.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from accounting.access import PrivateAccess
from accounting.keystream import Keystream
from accounting.ledger import Ledger
from accounting.mechanisms import SampledGaussian
from accounting.run_key import RunKey
from lightning_modules.dp_sgd.grid import grid_unit
from lightning_modules.dp_sgd.noise_ahead import THREADS, NoiseAhead

COUNTS = (1_750_000, 80_000_000)  # parameters of our smaller diffusion model and of the published one
SIGMA, CLIP = 10.0, 1.0
STREAM = Keystream(bytes(32))


def reserved(folder: Path, steps: int = 1) -> PrivateAccess:
    """Access to steps of DP-SGD, under a key that everybody knows."""
    mechanism = SampledGaussian(name="dp-sgd", noise_multiplier=SIGMA, sampling_rate=0.1, steps=steps, sensitivity=CLIP)
    ledger = Ledger.open(folder / "ledger.jsonl", epsilon=1e9, delta=1e-5, n=1000, accountant="rdp", insecure=True)
    key = RunKey.create_or_load(folder / "key", insecure_hex="00" * 32)
    return ledger.reserve(mechanism, stage="benchmark", fingerprint="f", run_key=key)


def plain(count: int) -> Tensor:
    """Box and Muller's formula on whole arrays, as one would write it down first."""
    words = np.frombuffer(STREAM.bytes(0, 8 * (count + count % 2)), dtype="<u8")
    uniforms = (words >> np.uint64(11)) * 2.0**-53
    radius = np.sqrt(-2 * np.log1p(-uniforms[0::2]))
    angle = (2 * np.pi) * uniforms[1::2]
    values = np.empty(len(uniforms))
    values[0::2] = radius * np.cos(angle)
    values[1::2] = radius * np.sin(angle)
    return torch.from_numpy(SIGMA * CLIP * values[:count]).float()


def peers(access: PrivateAccess) -> dict[str, Callable[[int], Tensor]]:
    """What makes `count` values, by the name of its row."""

    def ahead(threads: int) -> Callable[[int], Tensor]:
        return lambda count: NoiseAhead(access, grid_unit(CLIP, count), threads).take(0, count, torch.device("cpu"))

    return {
        "plain formula": plain,
        **{f"keyed, threads: {threads}": ahead(threads) for threads in sorted({1, THREADS})},
        "torch.randn (not secure)": lambda count: torch.randn(count) * (SIGMA * CLIP),
    }


def stream_bytes_per_value() -> float:
    """Bytes of cipher stream that one normal uses, counted on a draw."""
    made = []

    class Counted(Keystream):
        def _fill(self, step: int, block: int, values: np.ndarray) -> None:
            made.append(values.nbytes)  # a normal is made in the place of its stream
            super()._fill(step, block, values)

    values = Counted(bytes(32)).normals(0, 10**6)
    return sum(made) / len(values)


def measure(rounds: int, access: PrivateAccess) -> list[dict[str, float | str]]:
    """One row a count and peer: median, least and greatest seconds of a step's noise, and nanoseconds a value."""
    rows: list[dict[str, float | str]] = []
    for count in COUNTS:
        seconds: dict[str, list[float]] = {name: [] for name in peers(access)}
        for _ in range(rounds):
            for name, draw in peers(access).items():
                start = time.perf_counter()
                draw(count)
                seconds[name].append(time.perf_counter() - start)
        for name, taken in seconds.items():
            median = statistics.median(taken)
            spread = {"seconds_min": min(taken), "seconds_max": max(taken)}
            rows.append({"values": count, "peer": name, "seconds_median": median, **spread, "ns": median / count * 1e9})
    return rows


def main() -> None:
    """Print the table and, if asked, write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds, of which the median counts")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows here too")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(arguments.rounds, reserved(Path(folder)))
    stream = stream_bytes_per_value()
    print(f"one step's noise on the CPU ({arguments.rounds} rounds); {stream:g} bytes of stream a value")
    print(f"{'values':>12}  {'':26}{'median s':>10}{'min s':>9}{'max s':>9}{'ns a value':>12}")
    for row in rows:
        print(
            f"{row['values']:12,}  {row['peer']:26}{row['seconds_median']:10.4f}{row['seconds_min']:9.4f}"
            f"{row['seconds_max']:9.4f}{row['ns']:12.1f}"
        )
    if arguments.json:
        content = {"rounds": arguments.rounds, "stream_bytes_per_value": stream, "rows": rows}
        arguments.json.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
