"""Time of a private step on one and on several single-threaded processes, and the bytes that they send.

Run from the repository: `python -m benchmarks.scaling [--case NAME …] [--processes N] [--rounds N] [--json FILE]`. Each
round runs the same private fit (charge, DP-SGD steps, noise, optimiser, average) once on one process and once on
several, in turn, each process with one thread; every record is in every batch, so that all rounds do the same work.
Efficiency is the time on one process over N times that on N. Bytes are those of the all-reduced tensor, and those that
crossed the loopback interface, whatever else the machine sent over it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback

from accounting.access import PrivateAccess
from accounting.ledger import Ledger
from accounting.mechanisms import SampledGaussian
from accounting.run_key import RunKey
from configs.components.generators import DiffusionConfig
from configs.components.networks import UNetConfig
from configs.components.samplers import DDIMConfig
from configs.schema import Image
from datamodules.batches.poisson import SensitiveData
from datamodules.batches.step_batches import Part
from datamodules.sets.image_set import ImageSet
from datamodules.sets.sensitive import SensitiveImages
from launch.processes.ranks import Ranks
from launch.training.trainer import fit
from lightning_modules.diffusion import Diffusion
from lightning_modules.dp_sgd.engine import ENGINES
from lightning_modules.dp_sgd.private_training import PrivateTraining

KEY = "5a" * 32
CLASSES = 10
LOOPBACK = Path("/sys/class/net/lo/statistics/tx_bytes")


@dataclass(frozen=True)
class Case:
    """A network, the images it is for, the logical batch, draws a record, records at once, and timed steps."""

    network: UNetConfig
    image: Image
    batch: int
    multiplicity: int
    micro_batch: int
    steps: int


SMALL = UNetConfig(
    base_channels=16, blocks_per_level=1, multipliers=[1, 2], attention_resolutions=[4], embedding_multiplier=4
)
PAPER = UNetConfig(base_channels=32, blocks_per_level=2, multipliers=[1, 2, 2], attention_resolutions=[16])
CASES = {
    "demo": Case(SMALL, Image(resolution=8, channels=1), 256, 4, 32, 4),
    "demo-1024": Case(SMALL, Image(resolution=8, channels=1), 1024, 4, 32, 2),
    "1.75m": Case(PAPER, Image(resolution=32, channels=3), 256, 1, 16, 1),
}


class Clock(Callback):
    """Seconds of each step, and the bytes over the loopback meanwhile."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.sent: list[int] = []

    def on_train_batch_start(self, *_: Any) -> None:
        self.bytes, self.start = loopback(), time.perf_counter()

    def on_train_batch_end(self, *_: Any) -> None:
        self.seconds.append(time.perf_counter() - self.start)
        self.sent.append(loopback() - self.bytes)


def loopback() -> int:
    """Bytes sent over the loopback interface so far; 0 where the system does not say."""
    return int(LOOPBACK.read_text()) if LOOPBACK.is_file() else 0


def charged(ranks: Ranks, folder: Path, mechanism: SampledGaussian) -> PrivateAccess:
    """The access that the first process is charged for, on each of them."""
    path, asked = folder / "ledger.jsonl", {"stage": "finetune", "fingerprint": "f" * 64}
    key = RunKey.create_or_load(folder / "key", insecure_hex=KEY)
    if ranks.first:
        ledger = Ledger.open(path, epsilon=1e9, delta=1e-6, n=1000, accountant="rdp", insecure=True)
        access = ledger.reserve(mechanism, **asked, run_key=key)
        ranks.broadcast(access.ledger_head)
        return access
    start = ranks.broadcast("")
    return Ledger.read(path).join(start, mechanism, **asked, run_key=key)


def work(folder: Path, case: Case) -> None:
    """What each process of a job does: the fit; the first one writes what it took."""
    torch.set_num_threads(1)
    ranks = Ranks.here()
    ranks.connect(torch.device("cpu"))
    torch.manual_seed(0)
    config = DiffusionConfig(network=case.network, sampler=DDIMConfig(), multiplicity=case.multiplicity)
    model = Diffusion(config, image=case.image, classes=CLASSES)
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (case.batch, *case.image.shape), dtype=np.uint8)
    images = ImageSet(pixels, generator.integers(0, CLASSES, case.batch), tuple("0123456789"))
    steps = 1 + case.steps  # the first warms up
    access = charged(
        ranks,
        folder,
        SampledGaussian(name="dp-sgd", noise_multiplier=1.0, sampling_rate=1.0, steps=steps, sensitivity=1.0),
    )
    module = PrivateTraining(
        model,
        ENGINES["fused"](model, 1.0),
        access,
        expected_batch=case.batch,
        micro_batch=case.micro_batch,
        learning_rate=1e-3,
        ema_decay=0.9,
        ranks=ranks.world,
    )
    clock = Clock()
    fit(
        module,
        lambda start: SensitiveData(SensitiveImages(images), access, start=start, part=Part(ranks.rank, ranks.world)),
        folder=folder / "checkpoints",
        total_steps=steps,
        accelerator="cpu",
        minutes=1e6,
        access=access,
        progress=clock,
    )
    if ranks.first:
        parameters = sum(value.numel() for value in model.trainable.parameters())
        found = {"seconds": clock.seconds[1:], "sent": clock.sent[1:], "parameters": parameters}
        (folder / "found.json").write_text(json.dumps(found))


def job(name: str, processes: int) -> dict[str, Any]:
    """One job on so many processes."""
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
        words += ["-m", "benchmarks.scaling", "--work", folder, "--case", name]
        result = subprocess.run(
            words, capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"}
        )
        if result.returncode:
            sys.exit(result.stderr[-3000:])
        return json.loads((Path(folder) / "found.json").read_text())


def measure(name: str, processes: int, rounds: int) -> dict[str, Any]:
    """Paired rounds of one case."""
    pairs: list[tuple[float, float]] = []
    sent: list[int] = []
    for number in range(rounds):
        order = (1, processes) if number % 2 == 0 else (processes, 1)
        found = {count: job(name, count) for count in order}
        pairs.append((statistics.median(found[1]["seconds"]), statistics.median(found[processes]["seconds"])))
        sent += found[processes]["sent"]
        print(f"  {name} round {number + 1}: {pairs[-1][0]:.2f} s, {pairs[-1][1]:.2f} s", file=sys.stderr, flush=True)
    efficiencies = [alone / (processes * together) for alone, together in pairs]
    return {
        "case": name,
        "batch": CASES[name].batch,
        "processes": processes,
        "seconds_alone": statistics.median(alone for alone, _ in pairs),
        "seconds_together": statistics.median(together for _, together in pairs),
        "efficiency": statistics.median(efficiencies),
        "efficiencies": efficiencies,
        "parameters": found[1]["parameters"],
        "all_reduced_bytes": 4 * found[1]["parameters"],
        "loopback_bytes": statistics.median(sent),
    }


def main() -> None:
    """Measure the wanted cases and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", nargs="*", choices=CASES, default=["demo", "demo-1024"], help="default: %(default)s")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work is not None:
        work(options.work, CASES[options.case[0]])
        return
    rows = [measure(name, options.processes, options.rounds) for name in options.case]
    print(f"{platform.processor() or platform.machine()}, torch {torch.__version__}, one thread a process")
    print(
        f"{'case':>10} {'batch':>6} {'1':>9} {options.processes:>9} {'efficiency':>11} {'reduced':>10} {'loopback':>10}"
    )
    for row in rows:
        reduced, crossed = row["all_reduced_bytes"] / 1e6, row["loopback_bytes"] / 1e6
        print(
            f"{row['case']:>10} {row['batch']:>6} {row['seconds_alone']:>7.2f} s {row['seconds_together']:>7.2f} s "
            f"{row['efficiency']:>11.1%} {reduced:>7.2f} MB {crossed:>7.2f} MB"
        )
    if options.json:
        options.json.write_text(json.dumps({"cases": rows}, indent=2))


if __name__ == "__main__":
    main()
