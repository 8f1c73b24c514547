"""Time and memory of a DP-SGD step's clipped sum against an ordinary step and the other ways to clip.

Run from the repository: `python -m benchmarks.dp_step [--case NAME …] [--device cuda] [--precision bf16]`. The engines
take turns on the same network, batch and K draws a record, so that a slow spell of the machine hits all of them, each
in a process of its own. Each gives the sum of clipped per-record gradients and nothing else: no noise, no optimiser;
but for `private-step` and `float32-step` (to be named with `--engines`), a whole step each with noise and Adam.
`nonprivate` is a forward and backward pass of the mean loss, in the faster of the two memory formats. Memory is the
peak of a fresh process per engine less what it held before the step. A peer that cannot run a case is shown as `-`,
with its reason.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.dp_step_peers import PEERS, Step
from configs.components.generators import DiffusionConfig
from configs.components.networks import UNetConfig
from configs.components.samplers import DDIMConfig
from configs.schema import Image
from launch.processes.malloc import keep_freed_memory
from lightning_modules.diffusion import Diffusion

NONPRIVATE = ("nonprivate", "nonprivate-nhwc")
WHOLE = ("private-step", "float32-step")  # with noise and optimiser


@dataclass(frozen=True)
class Case:
    """A network at 32 x 32 x 3, a batch of records and K draws for each of them."""

    network: str
    batch: int
    multiplicity: int


NETWORKS = {
    "1.75M": UNetConfig(base_channels=32, blocks_per_level=2, multipliers=[1, 2, 2], attention_resolutions=[16]),
    "80M": UNetConfig(base_channels=192, blocks_per_level=3, multipliers=[1, 2, 2], attention_resolutions=[16]),
}
CASES = {
    "k1": Case("1.75M", 16, 1),
    "k4": Case("1.75M", 8, 4),
    "80m": Case("80M", 2, 1),
    "80m-k4": Case("80M", 1, 4),
}


def build(case: Case, device: torch.device) -> tuple[Diffusion, Tensor, Tensor]:
    """A diffusion model whose zero-initialised layers are filled, so that no gradient vanishes, and a batch."""
    torch.manual_seed(0)
    config = DiffusionConfig(network=NETWORKS[case.network], sampler=DDIMConfig(), multiplicity=case.multiplicity)
    model = Diffusion(config, image=Image(resolution=32, channels=3), classes=10).to(device)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    images = torch.randint(0, 256, (case.batch, 3, 32, 32), dtype=torch.uint8).to(device)
    return model, images, torch.randint(0, 10, (case.batch,)).to(device)


def ready(peer: str, case: Case, device: torch.device, precision: str) -> Callable[[], Tensor]:
    """One step of a peer as a function without arguments."""
    model, images, labels = build(case, device)
    step: Step = PEERS[peer](model, precision)
    return lambda: step(images, labels, torch.Generator(device).manual_seed(0))


def finished(device: torch.device) -> None:
    """Wait for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class Worker:
    """A peer in a process of its own that takes one step when told to.

    In one process the peers would run on memory that the others have freed, and their times depend on who ran before.
    """

    def __init__(self, peer: str, name: str, options: argparse.Namespace) -> None:
        words = command("--take-turns", peer, name, options) + (["--keep-memory"] if options.keep_memory else [])
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - open as long as the process
        self.process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True
        )

    def step(self) -> float | str:
        """Seconds of the next step, or why there is none."""
        with contextlib.suppress(BrokenPipeError):  # if it has ended, it has said why
            print(file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline() if self.process.stdout else ""
        return float(answer) if answer else self.why()

    def why(self) -> str:
        """The last line a process that ended left."""
        code = self.process.wait()
        self.errors.seek(0)
        return last_line(self.errors.read(), code)

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.communicate()
        self.errors.close()


def command(task: str, peer: str, name: str, options: argparse.Namespace) -> list[str]:
    """This program again, for one peer and case."""
    words = [sys.executable, "-m", "benchmarks.dp_step", task, peer, "--case", name]
    return [*words, "--device", options.device, "--precision", options.precision, "--threads", str(options.threads)]


def last_line(text: str, code: int) -> str:
    """What a failed process said last."""
    return (text.strip().splitlines() or [f"exit code {code}"])[-1]


def take_turns(step: Callable[[], Tensor], device: torch.device) -> None:
    """For each line on standard input one step that is not timed, since others had the caches, and one that is."""
    for _ in sys.stdin:
        step()
        finished(device)
        start = time.perf_counter()
        step()
        finished(device)
        print(time.perf_counter() - start, flush=True)


def timed(peers: list[str], name: str, options: argparse.Namespace) -> tuple[dict[str, list[float]], dict[str, str]]:
    """Seconds of each round by peer, and why a peer cannot run; the first round, a warm-up, does not count."""
    workers = {peer: Worker(peer, name, options) for peer in peers}
    seconds: dict[str, list[float]] = {peer: [] for peer in peers}
    failures: dict[str, str] = {}
    try:
        for turn in range(options.rounds + 1):
            for peer in [peer for peer in peers if peer not in failures]:
                answer = workers[peer].step()
                if isinstance(answer, str):
                    failures[peer] = answer
                elif turn > 0:
                    seconds[peer].append(answer)
    finally:
        for worker in workers.values():
            worker.close()
    return {peer: times for peer, times in seconds.items() if peer not in failures}, failures


def resident() -> int:
    """Bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def peak(step: Callable[[], Tensor], device: torch.device) -> int:
    """Bytes a first step takes at its peak beyond what was held before it."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        step()
        finished(device)
        return torch.cuda.max_memory_allocated(device) - before
    before, most, done = resident(), 0, threading.Event()

    def watch() -> None:
        nonlocal most
        while not done.wait(0.001):
            most = max(most, resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    step()
    most = max(most, resident())
    done.set()
    watcher.join()
    return most - before


def peak_of_fresh_process(peer: str, name: str, options: argparse.Namespace) -> int | str:
    """Peak bytes of a peer's step in a process of its own, or why it failed."""
    words = command("--measure-peak", peer, name, options)
    # one arena and no pool of freed blocks: what the process holds is then what the step holds
    fresh = {**os.environ, "MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0"}
    result = subprocess.run(words, capture_output=True, text=True, env=fresh)
    if result.returncode:
        return last_line(result.stderr, result.returncode)
    return int(result.stdout.split()[-1])


def measure(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """One case: medians in seconds, ratios to the ordinary step, peak bytes, and who could not run."""
    case = CASES[name]
    peers = [*NONPRIVATE, *(options.engines or [peer for peer in PEERS if peer not in (*NONPRIVATE, *WHOLE)])]
    seconds, failures = timed(peers, name, options)
    medians = {peer: statistics.median(times) for peer, times in seconds.items()}
    fastest = min((peer for peer in NONPRIVATE), key=medians.__getitem__)
    peaks = {} if options.no_memory else {peer: peak_of_fresh_process(peer, name, options) for peer in seconds}
    failures |= {peer: why for peer, why in peaks.items() if isinstance(why, str)}

    def shown(values: dict[str, Any]) -> dict[str, Any]:
        """Values by engine, with the ordinary step in its faster format under one name."""
        kept = {peer: value for peer, value in values.items() if peer not in NONPRIVATE}
        return {"nonprivate": values[fastest], **kept} if fastest in values else kept

    return {
        "network": case.network,
        "batch": case.batch,
        "multiplicity": case.multiplicity,
        "precision": options.precision,
        "seconds": shown(medians),
        "spread": shown({peer: [min(times), max(times)] for peer, times in seconds.items()}),
        "ratio_to_nonprivate": {peer: value / medians[fastest] for peer, value in shown(medians).items()},
        "peak_bytes": shown({peer: value for peer, value in peaks.items() if isinstance(value, int)}),
        "failures": failures,
    }


def table(case: dict[str, Any]) -> str:
    """A case for a person."""
    lines = [
        f"{case['network']} parameters, batch {case['batch']}, K = {case['multiplicity']}, {case['precision']}",
        f"{'':18}{'median s':>10}{'min s':>9}{'max s':>9}{'ratio':>8}{'peak MiB':>10}{'beyond':>9}",
    ]
    base = case["peak_bytes"].get("nonprivate")
    for peer, seconds in case["seconds"].items():
        low, high = case["spread"][peer]
        line = f"{peer:18}{seconds:10.3f}{low:9.3f}{high:9.3f}{case['ratio_to_nonprivate'][peer]:8.2f}"
        if peer in case["peak_bytes"] and base is not None:
            held = case["peak_bytes"][peer]
            line += f"{held / 2**20:10.0f}{(held - base) / 2**20:9.0f}"
        lines.append(line)
    lines += [f"{peer:18}{'-':>10}   {why}" for peer, why in case["failures"].items()]
    if case["multiplicity"] > 1 and "opacus-ghost" in case["seconds"]:
        lines.append("opacus-ghost clips every draw by itself: another sum than the rest")
    return "\n".join(lines)


def machine(device: torch.device) -> str:
    """What this was measured on."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}"
    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    name = names[0].split(":")[1].strip() if names else platform.processor()
    return f"{name}, {torch.get_num_threads()} threads, torch {torch.__version__}"


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--case", nargs="*", choices=CASES, default=["k1", "k4"], help="which cases (default: k1 k4)")
    parser.add_argument("--engines", nargs="*", choices=[p for p in PEERS if p not in NONPRIVATE], help="which peers")
    parser.add_argument("--rounds", type=int, default=7, help="interleaved rounds, of which the median counts")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--precision", default="fp32", choices=("fp32", "bf16"), help="bf16: autocast, for all peers")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0: all cores")
    parser.add_argument(
        "--keep-memory", action="store_true", help="keep freed memory, as our commands do, for all peers"
    )
    parser.add_argument("--no-memory", action="store_true", help="leave out the fresh processes that measure memory")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the cases here too")
    parser.add_argument("--measure-peak", choices=PEERS, help=argparse.SUPPRESS)
    parser.add_argument("--take-turns", choices=PEERS, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Print a table a case and, if asked, write them as JSON."""
    options = arguments()
    warnings.filterwarnings("ignore")
    if options.threads:
        torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    if options.keep_memory:
        keep_freed_memory()
    if options.measure_peak:
        print(peak(ready(options.measure_peak, CASES[options.case[0]], device, options.precision), device))
        return
    if options.take_turns:
        take_turns(ready(options.take_turns, CASES[options.case[0]], device, options.precision), device)
        return
    print(f"{machine(device)}; {options.rounds} interleaved rounds\n")
    cases = []
    for name in options.case:
        cases.append(measure(name, options))
        print(table(cases[-1]) + "\n", flush=True)
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(device), "cases": cases}, indent=2) + "\n")


if __name__ == "__main__":
    main()
