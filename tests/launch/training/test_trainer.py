"""A stage that is stopped anywhere resumes exactly, charges each step once and publishes in order."""

import errno
import inspect
import logging
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.loggers.logger import DummyLogger

from accounting.access import PrivateAccess
from accounting.ledger import Ledger
from configs.errors import UserError
from launch.training import snapshot_writer
from launch.training.checkpointing import latest_checkpoint
from launch.training.metrics_log import MetricsLog, read_metrics
from launch.training.snapshot_writer import SnapshotWriter
from launch.training.trainer import starting_step
from lightning_modules.dp_sgd.private_training import PrivateTraining
from tests.launch.fits import STEPS, Stop, identical, private_fit, public_fit
from tests.lightning_modules.dp_sgd.private import reserved
from tests.lightning_modules.dp_sgd.toy import toy
from tests.lightning_modules.test_gan import gan

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("crashes", [(1,), (5,), (7, 11), (6, 8, 10)])
def test_public_training_resumes_bit_for_bit(tmp_path: Path, crashes: tuple[int, ...]) -> None:
    for crash in crashes:
        with pytest.raises(Stop):
            public_fit(tmp_path / "crashed", crash=crash, every_steps=3)
    assert identical(public_fit(tmp_path / "crashed"), public_fit(tmp_path / "whole"))


@pytest.mark.parametrize("crashes", [(1,), (5,), (7, 11), (6, 8, 10)])
def test_private_training_resumes_bit_for_bit_with_a_fixed_key(tmp_path: Path, crashes: tuple[int, ...]) -> None:
    for crash in crashes:
        with pytest.raises(Stop):
            private_fit(tmp_path / "crashed", crash=crash, every_steps=3)
    resumed = private_fit(tmp_path / "crashed")
    assert resumed.private_step == STEPS
    assert identical(resumed, private_fit(tmp_path / "whole"))


@pytest.fixture
def one_thread() -> Iterator[None]:
    """A forked process hangs if it uses OpenMP's threads, which exist only in its parent."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("fit", [public_fit, private_fit])
def test_killed_outright_it_resumes_bit_for_bit(tmp_path: Path, fit: Callable[..., LightningModule]) -> None:
    folder = tmp_path / "killed"
    folder.mkdir()
    process = multiprocessing.get_context("fork").Process(target=fit, args=(folder,), kwargs={"every_steps": 1})
    process.start()
    deadline = time.monotonic() + 60
    while not list(folder.glob("*/step-*.ckpt")) and process.is_alive() and time.monotonic() < deadline:
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert list(folder.glob("*/step-*.ckpt"))
    assert identical(fit(folder), fit(tmp_path / "whole"))


@pytest.mark.parametrize("fit", [public_fit, private_fit])
def test_finished_stage_is_only_loaded(tmp_path: Path, fit: Callable[..., LightningModule]) -> None:
    first = fit(tmp_path)
    assert identical(fit(tmp_path, crash=0), first)  # a single batch would raise


def test_curves_and_validations_go_on_where_they_were(tmp_path: Path) -> None:
    settings = {"loggers": [MetricsLog(tmp_path / "log")], "validate_every": 4}
    with pytest.raises(Stop):
        public_fit(tmp_path, crash=7, **settings)
    module = public_fit(tmp_path, **settings)
    assert module.validated == [7, 11]
    curves = read_metrics(tmp_path / "log")
    assert [step for step, _ in curves["train/loss"]] == list(range(STEPS))
    assert [step for step, _ in curves["validation/loss"]] == [3, 7, 11]
    whole = {"loggers": [MetricsLog(tmp_path / "whole log")], "validate_every": 4}
    public_fit(tmp_path / "whole", **whole)
    assert read_metrics(tmp_path / "whole log") == curves


class Order(DummyLogger):
    """Records what is published, and what was durable and in the ledger at that moment."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.events: list[tuple[int, int, int]] = []

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        found = latest_checkpoint(self.folder / "private")
        ledger = Ledger.read(self.folder / "ledger.jsonl")
        self.events.append((step, found.step if found else 0, ledger.published("dp-sgd")))


def test_durable_then_ledger_then_published(tmp_path: Path) -> None:
    order = Order(tmp_path)
    private_fit(tmp_path, loggers=[order])
    assert [step for step, _, _ in order.events] == list(range(STEPS))
    for step, durable, charged in order.events:
        assert durable > step and charged == durable


def test_nothing_of_lost_steps_is_published(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path / "log")
    with pytest.raises(Stop):
        private_fit(tmp_path, crash=8, loggers=[log], fixed=False)
    assert [step for step, _ in read_metrics(log.path)["records"]] == list(range(5))
    module = private_fit(tmp_path, loggers=[log], fixed=False)
    assert module.private_step == STEPS
    assert [step for step, _ in read_metrics(log.path)["records"]] == list(range(STEPS))


def lose_newest(folder: Path) -> int:
    """Damage the newest checkpoint of a private stage; returns the step of the one before."""
    newest, before = sorted((folder / "private").glob("step-*.ckpt"), reverse=True)
    newest.write_bytes(b"")
    return int(before.stem.removeprefix("step-"))


def test_published_steps_without_a_checkpoint_are_forfeited(tmp_path: Path) -> None:
    with pytest.raises(Stop):
        private_fit(tmp_path, crash=11, fixed=False)
    assert lose_newest(tmp_path) == 5
    ran: list[int] = []

    def watch(module: PrivateTraining) -> None:
        plain = module.training_step
        module.training_step = lambda batch, batch_idx: (ran.append(batch[0]), plain(batch, batch_idx))[1]

    log = MetricsLog(tmp_path / "log")
    with pytest.warns(UserWarning, match="damaged"), pytest.warns(UserWarning, match="5 steps between are lost"):
        module = private_fit(tmp_path, fixed=False, watch=watch, loggers=[log])
    assert ran == [10, 11]
    assert module.private_step == STEPS
    assert [step for step, _ in read_metrics(log.path)["records"]] == [10, 11]
    _, access = reserved(tmp_path, steps=STEPS, fixed=False)
    assert access.published() == STEPS


def test_forfeiting_starts_from_the_weights_of_the_older_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(Stop):
        private_fit(tmp_path, crash=11, fixed=False)
    lose_newest(tmp_path)
    older = torch.load(tmp_path / "private" / "step-00000005.ckpt", weights_only=True)["state_dict"]
    seen: dict[str, torch.Tensor] = {}

    def watch(module: PrivateTraining) -> None:
        module.on_train_start = lambda: seen.update(
            {name: value.clone() for name, value in module.state_dict().items()}
        )

    with pytest.warns(UserWarning, match="damaged"), pytest.warns(UserWarning, match="lost"):
        private_fit(tmp_path, fixed=False, watch=watch)
    assert seen.keys() == older.keys() and all(torch.equal(seen[name], older[name]) for name in older)


def test_with_a_fixed_key_lost_steps_repeat_exactly(tmp_path: Path) -> None:
    with pytest.raises(Stop):
        private_fit(tmp_path / "damaged", crash=11)
    lose_newest(tmp_path / "damaged")
    with pytest.warns(UserWarning, match="damaged"):
        resumed = private_fit(tmp_path / "damaged")
    assert identical(resumed, private_fit(tmp_path / "whole"))


def test_checkpoint_ahead_of_the_ledger_goes_on_from_the_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(Stop):
        private_fit(tmp_path, crash=6, fixed=False)
    found = latest_checkpoint(tmp_path / "private")
    _, access = reserved(tmp_path / "other", steps=STEPS, fixed=False)
    assert access.published() == 0
    assert starting_step(found, access, None, STEPS) == 5


@pytest.mark.filterwarnings("ignore:the ledger has")
@pytest.mark.parametrize("ahead", [0, 1, 2])
def test_not_one_published_step_runs_again(tmp_path: Path, ahead: int) -> None:
    with pytest.raises(Stop):
        private_fit(tmp_path, crash=6, fixed=False)
    found = latest_checkpoint(tmp_path / "private")
    _, access = reserved(tmp_path / "other", steps=STEPS, fixed=False)
    access.progress(found.step + ahead)
    assert starting_step(found, access, None, STEPS) == found.step + ahead


@pytest.mark.parametrize("model", [toy, gan])
def test_a_line_that_a_crash_cut_off_is_entered_before_anything_follows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: Callable[[], Any]
) -> None:
    """The checkpoint is durable already: no snapshot, no batch and no noise comes before its line."""

    def cut_off(*_: Any) -> None:
        raise Stop

    with monkeypatch.context() as patch, pytest.raises(Stop):
        patch.setattr(PrivateAccess, "progress", cut_off)
        private_fit(tmp_path, fixed=False, model=model)
    known: list[tuple[str, int]] = []

    def published(what: str) -> None:
        known.append((what, Ledger.read(tmp_path / "ledger.jsonl").published("dp-sgd")))

    def spy(owner: Any, name: str) -> None:
        plain = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *a, **k: (published(name), plain(*a, **k))[1])

    assert Ledger.read(tmp_path / "ledger.jsonl").published("dp-sgd") == 0
    spy(snapshot_writer, "save_weights")
    for name, value in list(vars(PrivateAccess).items()):
        if inspect.isfunction(value) and not name.startswith("_") and name not in ("published", "progress"):
            spy(PrivateAccess, name)
    with pytest.raises(Stop):
        private_fit(tmp_path, fixed=False, model=model, crash=6, snapshots=SnapshotWriter(tmp_path / "snapshots", [5]))
    assert {what for what, _ in known} >= {"save_weights", "sample"}
    assert {step for _, step in known} == {5}
    (tmp_path / "private" / "step-00000005.ckpt").write_bytes(b"")
    known.clear()
    with pytest.warns(UserWarning, match="damaged"), pytest.warns(UserWarning, match="5 steps between are lost"):
        assert private_fit(tmp_path, fixed=False, model=model).private_step == STEPS
    assert min(step for _, step in known) == 5


def test_a_finished_stage_whose_last_line_was_cut_off_enters_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = PrivateAccess.progress

    def cut_off(access: PrivateAccess, step: int, digest: str | None = None) -> None:
        if step == STEPS:
            raise Stop
        plain(access, step, digest)

    with monkeypatch.context() as patch, pytest.raises(Stop):
        patch.setattr(PrivateAccess, "progress", cut_off)
        private_fit(tmp_path, fixed=False)
    assert Ledger.read(tmp_path / "ledger.jsonl").published("dp-sgd") == 10
    private_fit(tmp_path, fixed=False, crash=0)
    assert Ledger.read(tmp_path / "ledger.jsonl").published("dp-sgd") == STEPS


def test_spent_steps_without_any_weights_are_refused(tmp_path: Path) -> None:
    private_fit(tmp_path, fixed=False)
    for path in (tmp_path / "private").iterdir():
        path.unlink()
    with pytest.raises(UserError, match="no checkpoint"):
        private_fit(tmp_path, fixed=False)


def test_ledger_that_lacks_what_the_checkpoint_knows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Stop):
        private_fit(tmp_path, crash=8, fixed=False)
    (tmp_path / "ledger.jsonl").unlink()
    with pytest.raises(UserError):
        private_fit(tmp_path, fixed=False)


def test_secure_keys_give_other_weights_every_time(tmp_path: Path) -> None:
    first = private_fit(tmp_path / "first", fixed=False)
    second = private_fit(tmp_path / "second", fixed=False)
    assert not identical(first, second)
    assert not identical(first.model, toy())


def test_full_disk_is_one_message_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Stop):
        public_fit(tmp_path, crash=7)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch, pytest.raises(UserError, match=r"step-00000010\.ckpt.*No space left"):
        patch.setattr(os, "fsync", full)
        public_fit(tmp_path)
    assert [path.name for path in (tmp_path / "public").iterdir()] == ["step-00000005.ckpt"]
    assert identical(public_fit(tmp_path), public_fit(tmp_path / "whole"))


def test_keyboard_interrupt_stays_one_and_gives_the_handler_back(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)

    def watch(module: PrivateTraining) -> None:
        def stop(gradient: torch.Tensor) -> None:
            raise KeyboardInterrupt

        module.descend = stop

    with pytest.raises(KeyboardInterrupt):
        private_fit(tmp_path, watch=watch)
    assert signal.getsignal(signal.SIGINT) is before


def test_leftover_of_slurm_is_not_read_and_nobody_talks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    monkeypatch.setenv("SLURM_NTASKS", "1")
    monkeypatch.setenv("SLURM_JOB_NAME", "train")
    monkeypatch.setenv("SLURM_PROCID", "0")
    monkeypatch.setenv("SLURM_LOCALID", "0")
    monkeypatch.setenv("SLURM_NODEID", "0")
    (tmp_path / "hpc_ckpt_1.ckpt").write_bytes(b"not ours")
    public_fit(tmp_path)
    output = capfd.readouterr()
    assert output.out == "" and output.err == ""
    assert logging.getLogger("lightning.pytorch").level != logging.ERROR
