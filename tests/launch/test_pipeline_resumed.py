"""Whole runs that are killed or stopped at any point and resumed by the same command."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.launch.runs import (
    FIXED,
    RELEASE,
    Child,
    ahead_of_the_ledger,
    at,
    charges,
    errors,
    finish,
    generations,
    killed_at,
    killed_everywhere,
    published,
    run_words,
    same_release,
    statement,
)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("calibrated")]

POINTS: list[tuple[str, int, bool]] = [  # path, which of its durable writes, and whether to kill after it
    ("*/config.yaml", 1, False),
    ("*/ledger.jsonl", 1, False),  # the line that opens it
    ("*/classifier/checkpoints-*/step-00000002.ckpt", 1, False),
    ("*/classifier/checkpoints-*/step-00000003.ckpt", 1, True),
    ("*/classifier/done.json", 1, False),
    ("*/ledger.jsonl", 1, True),  # the query is reserved, and not started
    ("*/query/histogram.json", 1, False),
    ("*/query/histogram.json", 1, True),
    ("*/select/images", 1, False),
    ("*/pretrain/checkpoints-*/step-00000003.ckpt", 1, False),
    ("*/pretrain/model.safetensors", 1, False),
    ("*/ledger.jsonl", 2, True),  # the fine-tuning is reserved and started
    ("*/finetune/checkpoints-*/step-00000002.ckpt", 1, False),
    ("*/finetune/checkpoints-*/step-00000002.ckpt", 1, True),  # durable, and not yet in the ledger
    ("*/finetune/snapshots-*/step-00000002.safetensors", 1, True),
    ("*/ledger.jsonl", 3, True),
    ("*/finetune/model.safetensors", 1, False),
    ("*/finetune/done.json", 1, True),
    ("*/release/model.safetensors", 1, False),
    ("*/release/synthetic.npz", 1, False),
    ("*/release/privacy.json", 1, False),
    ("*/internal/scores.json", 1, False),
    ("*/internal/report.html", 1, False),
]


def test_killed_at_every_stage_a_run_ends_with_the_same_bits(tmp_path: Path, reference: Path) -> None:
    path = tmp_path / "fixed"
    killed_everywhere(path, POINTS, FIXED, report=True)
    assert same_release(path, reference)
    assert statement(path)["epsilon"] == statement(reference)["epsilon"]
    assert charges(path) == ["semantic query", "dp-sgd"]
    assert {entry.name for entry in (path / "release").iterdir()} == RELEASE


def test_killed_in_every_private_stage_a_run_ends_with_the_same_epsilon(tmp_path: Path, finished: Path) -> None:
    path = tmp_path / "whole"
    killed_everywhere(path, [point for point in POINTS if re.search("ledger|query|finetune", point[0])])
    assert statement(path)["epsilon"] == statement(finished)["epsilon"]
    assert charges(path) == ["semantic query", "dp-sgd"]
    for mechanism in ("semantic query", "dp-sgd"):
        started = generations(path, mechanism)
        assert len(started) > 1 and sorted(set(started)) == started
    assert published(path, "semantic query") == 1 and published(path) == 4
    assert not (path / "internal" / "key").exists()


def test_a_snapshot_taken_on_the_way_back_is_of_steps_that_never_run_again(tmp_path: Path, finished: Path) -> None:
    """Killed before the checkpoint's line in the ledger, killed after its snapshot is written; then the disk fails."""
    path = tmp_path / "whole"
    killed_at(path, "*/finetune/checkpoints-*/step-00000002.ckpt")
    assert published(path) == 1 and ahead_of_the_ledger(path) == []
    killed_at(path, "*/finetune/snapshots-*/step-00000002.safetensors")
    assert published(path) == 2 and ahead_of_the_ledger(path) == []
    (newest,) = path.glob("stages/finetune/checkpoints-*/step-00000002.ckpt")
    newest.write_bytes(b"")
    code, text = finish(run_words(path), tmp_path / "output")
    assert code == 0, text
    assert "the ledger has 2 published steps of 'dp-sgd', the newest readable checkpoint 1" in text
    assert statement(path)["epsilon"] == statement(finished)["epsilon"] and published(path) == 4


@pytest.mark.parametrize("seed", range(3))
def test_killed_at_a_random_moment_a_run_ends_with_the_same_bits(tmp_path: Path, reference: Path, seed: int) -> None:
    path = tmp_path / "fixed"
    moments = random.Random(seed)
    for _ in range(2):
        child = Child(run_words(path, FIXED), tmp_path / "output")
        time.sleep(moments.uniform(0, 0.7))
        child.send(signal.SIGKILL)
        child.wait()
    code, text = finish(run_words(path, FIXED), tmp_path / "output")
    assert code == 0, text
    assert same_release(path, reference)
    assert statement(path)["epsilon"] == statement(reference)["epsilon"]


def test_a_new_process_goes_on_where_a_killed_one_was(tmp_path: Path, reference: Path) -> None:
    """The real command in a separate process, killed during fine-tuning."""
    path = tmp_path / "fixed"
    command = [sys.executable, "-m", "launch.cli", *run_words(path, FIXED)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and not list(path.glob("stages/finetune/*/step-*.ckpt")):
        time.sleep(0.002)
    process.kill()
    assert process.wait() == -signal.SIGKILL and not (path / "release").exists()
    assert finish(run_words(path, FIXED), tmp_path / "output")[0] == 0
    assert same_release(path, reference)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_a_run_with_a_checkpoint(tmp_path: Path, reference: Path, number: signal.Signals) -> None:
    path = tmp_path / "fixed"
    before = at("*/finetune/*/step-00000002.ckpt", lambda: os.kill(os.getpid(), number))
    words = run_words(path, FIXED, "launch.checkpoint_minutes=0")
    code, text = finish(words, tmp_path / "output", before)
    assert code == 128 + number
    assert errors(text)[-1] == f"stopped by {number.name}; the same command continues from here"
    assert (path / "stages" / "pretrain" / "done.json").exists()
    assert not (path / "stages" / "finetune" / "done.json").exists()
    assert list(path.glob("stages/finetune/*/step-0000000[23].ckpt"))
    assert finish(words, tmp_path / "output")[0] == 0
    assert same_release(path, reference)


def test_a_signal_between_checkpoints_makes_one(tmp_path: Path, reference: Path) -> None:
    path = tmp_path / "fixed"
    words = run_words(path, FIXED, "launch.checkpoint_minutes=60")  # no checkpoint is due before the end
    before = at("*/ledger.jsonl", lambda: os.kill(os.getpid(), signal.SIGTERM), count=5, after=True)
    code, text = finish(words, tmp_path / "output", before)
    assert code == 128 + signal.SIGTERM, text
    assert finish(words, tmp_path / "output")[0] == 0
    assert same_release(path, reference)
