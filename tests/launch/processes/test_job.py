"""Whole runs on several processes: their results, what stops them, and resuming with another number of processes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from accounting.ledger import Ledger
from tests.launch.runs import FIXED, RELEASE, Child, charges, privimage, published, run_words

pytestmark = pytest.mark.slow

LONG = ["finetune.steps=3000", "privacy.epsilon=50"]
WAIT = 120.0  # seconds


def start(path: Path, *overrides: str) -> Child:
    """`privimage run` of the tiny run on two processes."""
    return Child(run_words(path, "launch.devices=2", *overrides), path.with_name("job"))


def run_python(*words: str) -> subprocess.Popen[str]:
    """Python with one thread per process."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


def wait_for(happened: Callable[[], bool], job: Child) -> None:
    """Wait until something has happened while a job runs."""
    end = time.monotonic() + WAIT
    while not happened():
        assert time.monotonic() < end, job.text[-3000:]
        time.sleep(0.05)


def goes_on_by_itself(path: Path, before: int, *overrides: str) -> None:
    """One process continues a run of several after `before` private steps, and is stopped."""
    child = Child(run_words(path, *LONG, *overrides), path.with_name("output"))
    wait_for(lambda: published(path) > before, child)
    child.send(signal.SIGTERM)
    assert child.wait() == 128 + signal.SIGTERM, child.text[-3000:]


def workers(job: Child) -> list[int]:
    """The processes that a job's first command has started, in the order of their ranks."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            rank = dict(word.split("=", 1) for word in (folder / "environ").read_text().split("\0") if "=" in word)
        except OSError:  # it has ended
            continue
        if parent == job.pid and "RANK" in rank:
            found.append((int(rank["RANK"]), int(folder.name)))
    return [pid for _, pid in sorted(found)]


def test_a_run_on_two_processes_makes_what_one_makes(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("privimage")
    words = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", "--no-python", str(program)]
    two = run_python(*words, *run_words(tmp_path / "two", FIXED, "tracking=[csv]"))
    output, errors = two.communicate(timeout=WAIT)
    assert two.returncode == 0 and not output, errors[-3000:]
    assert "processes   2 on 1 machine" in errors
    assert errors.count("guarantee") == 1
    assert privimage(*run_words(tmp_path / "one", FIXED, "-q")) == 0
    released = {path.name for path in (tmp_path / "two" / "release").iterdir()}
    assert released == RELEASE
    one, two_ = (Ledger.read(tmp_path / name / "ledger.jsonl") for name in ("one", "two"))
    assert [entry["kind"] for entry in one.entries] == [entry["kind"] for entry in two_.entries]
    assert one.epsilon() == two_.epsilon()
    answers = [tmp_path / name / "stages" / "query" / "histogram.json" for name in ("one", "two")]
    counts = [np.sum(json.loads(path.read_text())["histogram"], axis=1) for path in answers]
    assert np.array_equal(*counts)  # every image is counted by one of the processes, and the noise is the same
    with np.load(tmp_path / "two" / "release" / "synthetic.npz") as release:
        assert [len(release[name]) for name in ("images", "labels")] == [60, 60]
        assert np.bincount(release["labels"]).tolist() == [6] * 10
    points = json.loads((tmp_path / "two" / "internal" / "scores.json").read_text())["on_the_way"]
    assert [(point["step"], point["count"]) for point in points] == [(2, 60), (4, 60)]
    logged = tmp_path / "two" / "internal" / "csv"
    assert len((logged / "finetune" / "version_0" / "metrics.csv").read_text().splitlines()) == 1 + 4
    assert [path.name for path in (logged / "finetune").iterdir()] == ["version_0"]  # one of the processes logs


def test_a_signal_is_passed_on_to_every_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What each of them then does is in `test_ranks.py` and, for a whole job, in `test_slurm.py`."""
    program = tmp_path / "program"
    program.write_text(
        f"""#!/bin/sh
        trap 'echo $RANK $* > {tmp_path}/stopped-$RANK; exit 143' TERM
        touch {tmp_path}/started-$RANK
        while true; do sleep 0.05; done
        """
    )
    program.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(program))
    job = Child(run_words(tmp_path / "run", "launch.devices=2"), tmp_path / "job")
    wait_for(lambda: len(list(tmp_path.glob("started-*"))) == 2, job)
    job.send(signal.SIGTERM)
    assert job.wait() == 128 + signal.SIGTERM
    stopped = sorted(path.read_text() for path in tmp_path.glob("stopped-*"))
    assert [text.split()[:5] for text in stopped] == [f"{rank} -m launch.cli run demo".split() for rank in range(2)]
    assert "Traceback" not in job.text


def test_a_process_that_dies_ends_the_job_and_nothing_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "run"
    job = start(path, *LONG)
    wait_for(lambda: published(path) >= 3, job)
    os.kill(workers(job)[1], signal.SIGKILL)
    assert job.wait() == 128 + signal.SIGKILL
    errors = job.text
    assert errors.count("process 1 of the job was killed by SIGKILL") == 1 and "Traceback" not in errors, errors
    before = published(path)
    goes_on_by_itself(path, before, "pretrain.micro_batch=2", "finetune.micro_batch=7")  # with less memory
    assert charges(path) == ["semantic query", "dp-sgd"]
