"""A whole run that takes a second, and ways to stop one at any point, for tests of the pipeline."""

from __future__ import annotations

import faulthandler
import fnmatch
import json
import os
import resource
import shlex
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image as Pillow
from safetensors.torch import load_file
from tqdm import tqdm

import launch.pipeline  # noqa: F401  (imported before any fork)
from accounting.access import PrivacyError
from accounting.ledger import Ledger
from configs.errors import UserError
from configs.loading import load
from launch.cli import main
from launch.processes import interrupts
from launch.run.file_times import RELEASED_AT
from launch.training.metrics_log import read_metrics

HANGS = 300  # seconds after which a child is considered to hang
KEY = "5a" * 32
FIXED = f"privacy.insecure_key={KEY}"
TINY = shlex.split("""
launch.threads=1 launch.accelerator=cpu launch.checkpoint_minutes=0
public.images_per_category=6 public.test_images_per_category=1
classifier.steps=4 classifier.batch_size=16 classifier.network.width=4 classifier.network.blocks=[1]
privacy.epsilon=10 privacy.delta=5e-5
query.semantics=1 query.noise_multiplier=5
generator.network.base_channels=4 generator.network.multipliers=[1] generator.network.blocks_per_level=1
generator.network.attention_resolutions=[] generator.network.embedding_multiplier=1
generator.multiplicity=1 generator.guidance=0 generator.sampler.steps=2
pretrain.steps=4 pretrain.batch_size=8
evolution.rounds=2 evolution.population=6 evolution.rendered=6 evolution.smooth=1 evolution.threshold=0
finetune.steps=4 finetune.steps_without_noise=4
finetune.batch_size=40 finetune.micro_batch=20 finetune.learning_rate=2e-3 finetune.snapshots=1
synthesize.count=60 synthesize.batch_size=20
evaluate.classifiers=[lr] tracking=[]
""")
TINY_GAN = [
    *(word for word in TINY if not word.startswith("generator.")),
    *("generator.network.base_channels=2", "generator.discriminator.base_channels=4", "generator.latent=4"),
    *("generator.fakes=6", "generator.discriminator_steps=2"),
]
TINY_TEACHER = [
    *(word for word in TINY if not word.startswith("generator.")),
    *("generator.network.width=4", "generator.network.hidden=8"),
]
RELEASE = {
    *("model.json", "model.safetensors", "PRIVACY.md", "privacy.json", "README.md", "samples.png", "synthetic.npz"),
}


def run_words(path: Path, *overrides: str, report: bool = False) -> list[str]:
    """The command that makes the tiny run `path`.

    Args:
        path: the run's folder.
        overrides: changes.
        report: with its report, whose charts take as long as everything else together.
    """
    words = ["run", "demo", f"run.root={path.parent}", f"run.name={path.name}", *TINY]
    return [*words, *([] if report else without_report(overrides)), *overrides]


def without_report(overrides: Sequence[str]) -> list[str]:
    """The override that leaves the stage `report` out of the tiny run."""
    try:
        stages = stages_of(tuple(word for word in overrides if not word.startswith("-")))
    except UserError:  # what this test is about
        return []
    return [f"stages=[{','.join(name for name in stages if name != 'report')}]"]


@cache
def stages_of(overrides: tuple[str, ...]) -> tuple[str, ...]:
    """The stages of the tiny run with some overrides."""
    return tuple(load("demo", [*TINY, *overrides]).stages)


def draw_shapes(root: Path, seed: int, count: int) -> None:
    """Two categories of small colour pictures of mixed sizes: discs and bars."""
    random_numbers = np.random.default_rng(seed)
    for category in ("bars", "discs"):
        (root / category).mkdir(parents=True)
        for number in range(count):
            side = int(random_numbers.integers(9, 20))
            y, x = np.mgrid[:side, :side]
            inside = (x - side / 2) ** 2 + (y - side / 2) ** 2 < side if category == "discs" else abs(x - side / 2) < 2
            colours = random_numbers.integers(0, 256, (2, 3), dtype=np.uint8)
            Pillow.fromarray(np.where(inside[..., None], *colours)).save(root / category / f"{number}.png")


def folder_words(path: Path, *overrides: str, report: bool = False) -> list[str]:
    """The command that makes the tiny run `path` of the images in the folder `data` next to it."""
    data = path.parent / "data"
    return run_words(
        path,
        "sensitive.name=folder",
        f"sensitive.root={data / 'train'}",
        f"sensitive.test_root={data / 'test'}",
        "image.channels=3",
        "privacy.delta=1e-3",
        "finetune.batch_size=20",
        *overrides,
        report=report,
    )


def privimage(*words: str) -> int:
    """Run a command in this process, whose signal handlers and number of threads are restored."""
    handlers = {number: signal.getsignal(number) for number in interrupts.SIGNALS}
    threads = torch.get_num_threads()
    try:
        return main([*words])
    except SystemExit as stop:  # argparse
        return int(stop.code or 0)
    finally:
        torch.set_num_threads(threads)
        interrupts._State.installed = False
        interrupts.clear()
        for number, handler in handlers.items():
            signal.signal(number, handler)


class Child:
    """A command in a forked process, with its output in a file. before: called in that process before the command."""

    def __init__(self, words: list[str], output: Path, before: Callable[[], None] = lambda: None) -> None:
        self.output = output
        self.pid = os.fork()
        if self.pid == 0:
            _work(words, output, before)

    def send(self, number: int) -> None:
        os.kill(self.pid, number)

    def wait(self) -> int:
        """The exit code; minus the signal that killed it."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def wait_stopped(self) -> None:
        """Wait until the process has stopped itself by SIGSTOP."""
        assert os.WIFSTOPPED(os.waitpid(self.pid, os.WUNTRACED)[1])

    @property
    def text(self) -> str:
        return self.output.read_text()


def _work(words: list[str], output: Path, before: Callable[[], None]) -> None:
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    as_process(words, descriptor, descriptor, before)


def as_process(words: list[str], output: int, errors: int, before: Callable[[], None] = lambda: None) -> None:
    """Run a command in a process that was just forked, and end the process.

    Args:
        words: the command.
        output: file descriptor of its standard output.
        errors: file descriptor of its standard error.
        before: called before the command.
    """
    code = 70
    try:
        os.dup2(output, 1)
        os.dup2(errors, 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
        faulthandler.register(signal.SIGALRM, file=2, chain=True)  # a test that hangs then fails and says where
        signal.alarm(HANGS)
        tqdm.set_lock(threading.RLock())  # all processes share the default lock, and a killed one never releases it
        torch.set_num_threads(1)
        torch.cuda.is_available = lambda: False  # a process forked from one that has used a GPU cannot use it
        before()
        code = main(words)
    except BaseException:
        traceback.print_exc()
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)


def finish(words: list[str], output: Path, before: Callable[[], None] = lambda: None) -> tuple[int, str]:
    """Exit code and output of a command in a forked process."""
    child = Child(words, output, before)
    return child.wait(), child.text


def durable(event: str, arguments: Any) -> str | None:
    """The path that an audit event is about to write durably (a rename, or an append to the ledger), or None."""
    if event == "os.rename":
        return os.fspath(arguments[1])
    if event == "open" and str(arguments[0]).endswith("ledger.jsonl") and arguments[2] & os.O_APPEND:
        return os.fspath(arguments[0])
    return None


def at(pattern: str, act: Callable[[], None], *, count: int = 1, after: bool = False) -> Callable[[], None]:
    """For `before` of a Child: act once, just before the `count`-th durable write to a path like `pattern`.

    Args:
        pattern: of the path, as in `fnmatch`.
        act: what to do.
        count: which of the writes, counted from 1.
        after: act when the write is done instead.
    """
    seen = {"matches": 0, "acted": False}

    def hook(event: str, arguments: Any) -> None:
        if seen["acted"]:
            return
        due = seen["matches"] >= count
        path = durable(event, arguments)
        if path is not None and fnmatch.fnmatch(path, pattern):
            seen["matches"] += 1
            due = due or (seen["matches"] >= count and not after)
        if due:
            seen["acted"] = True
            act()

    return lambda: sys.addaudithook(hook)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fill_disk() -> None:
    """From now on no file can grow beyond 512 bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (512, 512))


def killed_at(
    path: Path, pattern: str, *overrides: str, count: int = 1, after: bool = True, report: bool = False
) -> None:
    """Start a run that is killed at its `count`-th durable write to a path like `pattern`: after it, or before it."""
    words = run_words(path, *overrides, report=report)
    child = Child(words, path.with_name("output"), at(pattern, die, count=count, after=after))
    assert child.wait() == -signal.SIGKILL, (pattern, child.text)


def killed_everywhere(path: Path, points: list[tuple[str, int, bool]], *overrides: str, report: bool = False) -> None:
    """Start a run again and again, killed at the next point each time, then let it finish.

    Args:
        path: the run's folder.
        points: pattern of a path, which of its durable writes, and whether to kill after the write.
    """
    for pattern, count, after in points:
        killed_at(path, pattern, *overrides, count=count, after=after, report=report)
        assert ahead_of_the_ledger(path) == [], (pattern, count, after)
    code, text = finish(run_words(path, *overrides, report=report), path.with_name("output"))
    assert code == 0, text
    assert times(path / "release") == {RELEASED_AT * 10**9}


def statement(path: Path) -> dict[str, Any]:
    """The privacy statement of a finished run."""
    return json.loads((path / "release" / "privacy.json").read_text())


def released(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a release: weights, synthetic images and their labels, the picture's bytes."""
    arrays = {name: value.numpy() for name, value in load_file(path / "release" / "model.safetensors").items()}
    with np.load(path / "release" / "synthetic.npz") as data:
        arrays |= {name: data[name] for name in data.files}
    return arrays | {"samples.png": np.frombuffer((path / "release" / "samples.png").read_bytes(), np.uint8)}


def times(folder: Path) -> set[int]:
    """The modification times, in nanoseconds, of a folder and of everything in it."""
    return {entry.stat().st_mtime_ns for entry in (folder, *folder.rglob("*"))}


def same_release(path: Path, other: Path) -> bool:
    """Whether two releases agree to the last bit."""
    one, two = released(path), released(other)
    return one.keys() == two.keys() and all(np.array_equal(one[name], two[name]) for name in one)


def charges(path: Path) -> list[str]:
    """The names of the mechanisms charged in a ledger, which is verified first."""
    return [mechanism.name for mechanism in Ledger.read(path / "ledger.jsonl").mechanisms()]


def published(path: Path, mechanism: str = "dp-sgd") -> int:
    """Number of steps of a mechanism that are done according to a run's ledger."""
    try:
        return Ledger.read(path / "ledger.jsonl").published(mechanism)
    except (PrivacyError, UserError):  # no ledger yet, or not started
        return 0


def ahead_of_the_ledger(path: Path) -> list[str]:
    """Files that a run made from private steps which are not yet done in its ledger."""
    steps = {"dp-sgd": 4, "private evolution": 2, "semantic query": 1}  # of the tiny run
    made = [
        *(("dp-sgd", name_number(file), file) for file in path.glob("stages/finetune/snapshots-*/step-*.safetensors")),
        *(("dp-sgd", step + 1, "curves") for step in curve_steps(path / "internal" / "metrics" / "finetune")),
        *(("dp-sgd", steps["dp-sgd"], file) for file in path.glob("stages/finetune/*.safetensors")),
        *(("private evolution", name_number(file), file) for file in path.glob("stages/evolve/population-*.npz")),
        *(("private evolution", name_number(file) + 1, file) for file in path.glob("stages/evolve/round-*.png")),
        *(("private evolution", steps["private evolution"], file) for file in path.glob("stages/evolve/outcome.npz")),
        *(("semantic query", steps["semantic query"], file) for file in path.glob("stages/select/*")),
    ]
    return [f"{file}: step {step} of {name}" for name, step, file in made if published(path, name) < step]


def name_number(file: Path) -> int:
    """The number at the end of a file's name."""
    return int(file.stem.rpartition("-")[2])


def curve_steps(folder: Path) -> set[int]:
    """The steps in the curves of a stage."""
    return {step for points in read_metrics(folder).values() for step, _ in points}


def generations(path: Path, mechanism: str) -> list[int]:
    """The generations in which a mechanism was started."""
    entries = Ledger.read(path / "ledger.jsonl").entries
    return [
        entry["generation"]
        for entry in entries
        if entry["kind"] == "start" and entries[entry["charge"]]["mechanism"]["name"] == mechanism
    ]


def errors(text: str) -> list[str]:
    """The messages of an output except warnings; asserts that there is no traceback."""
    assert "Traceback" not in text, text
    lines = [line for line in text.splitlines() if line.startswith("privimage: ")]
    return [line.removeprefix("privimage: ") for line in lines if not line.startswith("privimage: warning")]
