"""Batch jobs: the script, and a run that is stopped, queued again and finished on a real SLURM of one machine."""

from __future__ import annotations

import json
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from accounting.ledger import Ledger
from tests.launch import slurm_node
from tests.launch.jobs import forked
from tests.launch.runs import FIXED, charges, privimage, published, run_words, same_release

pytestmark = pytest.mark.slow

WAIT = 240.0  # seconds


def script(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    """The lines of the script that `--dry-run` prints."""
    assert privimage("submit", "demo", *words, "--dry-run") == 0
    return capsys.readouterr().out.splitlines()


def test_the_script_asks_for_what_was_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--nodes", "2", "--gpus-per-node", "4", "--time", "12:00:00", "--partition", "long", "slurm.account=lab"]
    words += ["slurm.directives=[--mem=64G]", "slurm.setup=['module load cuda']", "run.name=a b"]
    lines = script(capsys, *words)
    asked = {line.removeprefix("#SBATCH ") for line in lines if line.startswith("#SBATCH")}
    assert asked >= {"--nodes=2", "--gpus-per-node=4", "--ntasks-per-node=4", "--time=12:00:00", "--partition=long"}
    assert asked >= {"--account=lab", "--mem=64G", "--requeue", "--open-mode=append", "--signal=USR1@300"}
    assert "module load cuda" in lines
    command = next(line for line in lines if line.startswith("srun "))
    assert {"run", "demo", "run.name=a b", "launch.devices=1"} <= set(shlex.split(command))


@pytest.mark.parametrize("time", ["6", "5:01", "0:05:01", "0-1", "1-00:00", "0-00:06:00"])
def test_times_as_slurm_writes_them(capsys: pytest.CaptureFixture[str], time: str) -> None:
    assert f"#SBATCH --time={time}" in script(capsys, "--time", time)


def test_names_and_folders_may_hold_blanks(capsys: pytest.CaptureFixture[str]) -> None:
    lines = script(capsys, "run.name=a b", "run.root=/tmp/50% x")
    assert '#SBATCH --job-name="a b"' in lines
    assert '#SBATCH --output="/tmp/50%% x/a b/internal/slurm/%j.log"' in lines


def test_tasks_are_one_a_gpu_unless_given(capsys: pytest.CaptureFixture[str]) -> None:
    assert "#SBATCH --ntasks-per-node=1" in script(capsys, "--gpus-per-node", "0")
    assert not any("gpus" in line for line in script(capsys, "--gpus-per-node", "0"))
    assert "#SBATCH --ntasks-per-node=3" in script(capsys, "--gpus-per-node", "4", "--tasks-per-node", "3")


def test_a_container_runs_the_program_inside(capsys: pytest.CaptureFixture[str]) -> None:
    lines = script(capsys, "slurm.container=apptainer exec --nv privimage.sif")
    command = next(line for line in lines if line.startswith("srun "))
    assert "apptainer exec --nv privimage.sif privimage run demo" in command


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["slurm.directives=[mem]"], "slurm.directives: got 'mem'"),
        (["--time", "soon"], "slurm.time: got 'soon'"),
        (["--time", "00:05:00"], "slurm.time: 00:05:00 is no longer than slurm.grace_seconds=300"),
        (["--time", "5"], "slurm.time: 5 is no longer than"),
        (['slurm.partition="a\\n#SBATCH --x"'], "--partition: got"),
        (["--account", 'a"b'], "--account: got"),
        (["--nodes", "0"], "slurm.nodes: got 0"),
        (["privacy.epsilon=1e-9"], "privacy.epsilon"),
    ],
)
def test_what_cannot_run_is_refused_before_it_is_queued(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, words: list[str], message: str
) -> None:
    assert privimage("submit", "demo", f"run.root={tmp_path}", *words) == 2
    errors = capsys.readouterr().err
    assert message in errors and "Traceback" not in errors
    assert not list(tmp_path.iterdir())


def test_without_slurm_one_message_says_so(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert privimage("submit", *run_words(tmp_path / "run")[1:]) == 2
    assert "there is no sbatch on this machine" in capsys.readouterr().err


@pytest.fixture
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    reason = slurm_node.reason_without()
    if reason:
        pytest.skip(reason)
    with slurm_node.cluster(tmp_path_factory.mktemp("slurm")):
        yield


def submitted(capsys: pytest.CaptureFixture[str], path: Path, *overrides: str) -> str:
    """Submit the tiny run with two tasks of one core; returns the job's number."""
    words = ["--gpus-per-node", "0", "--tasks-per-node", "2", "--cpus-per-task", "1", "--json"]
    assert privimage("submit", *words, *run_words(path, *overrides)[1:]) == 0
    return str(json.loads(capsys.readouterr().out)["job"])


def wait_for(job: str, path: Path, happened: Callable[[], bool]) -> None:
    """Wait until something has happened; the job must not fail before."""
    end = time.monotonic() + WAIT
    while not happened():
        log = path / "internal" / "slurm" / f"{job}.log"
        text = log.read_text()[-3000:] if log.is_file() else "no log"
        assert slurm_node.state(job) not in ("FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL"), text
        assert time.monotonic() < end, (slurm_node.state(job), text)
        time.sleep(0.1)


def interrupt(job: str, path: Path) -> None:
    """Send the preemption signal more than once, as clusters do; the job is then queued again."""
    for _ in range(3):
        subprocess.run(["scancel", "--signal=USR1", job], check=True)
    wait_for(job, path, lambda: slurm_node.state(job) == "PENDING")


def test_a_job_that_is_preempted_twice_ends_as_one_that_is_not(
    slurm: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, undisturbed = tmp_path / "run", tmp_path / "undisturbed"
    settings = [FIXED, "finetune.steps=30", "synthesize.count=1000"]
    settings += ["stages=[classifier,query,select,pretrain,finetune,synthesize]"]
    job = submitted(capsys, path, *settings, "tracking=[wandb]")
    wait_for(job, path, lambda: published(path) >= 3)
    interrupt(job, path)
    assert 3 <= published(path) < 30
    wait_for(job, path, lambda: bool(list(path.glob("stages/synthesize/batches-*/*.npy"))))
    interrupt(job, path)
    wait_for(job, path, lambda: slurm_node.state(job) == "COMPLETED")
    log = (path / "internal" / "slurm" / f"{job}.log").read_text()
    assert log.count("stopped by SIGUSR1; the same command continues from here") == 2 and "Traceback" not in log
    assert "processes   2 on 1 machine(s)" in log

    ids = {folder.name.rpartition("-")[2] for folder in path.glob("internal/wandb/offline-run-*")}
    assert len(ids) == 1 and len(list(path.glob("internal/wandb/offline-run-*"))) == 3

    words = run_words(undisturbed, *settings)
    assert forked(2, lambda: privimage(*words), tmp_path / "output").returncode == 0
    assert charges(path) == charges(undisturbed) == ["semantic query", "dp-sgd"]
    one, two = (Ledger.read(folder / "ledger.jsonl") for folder in (path, undisturbed))
    assert one.epsilon() == two.epsilon()
    assert one.published("dp-sgd") == two.published("dp-sgd") == 30
    assert same_release(path, undisturbed)
