"""Whole runs on damaged files, full disks and shared folders: one message, nothing lost, nothing charged twice."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from accounting.ledger import Ledger
from tests.launch.runs import (
    FIXED,
    Child,
    at,
    charges,
    errors,
    fill_disk,
    finish,
    killed_at,
    run_words,
    same_release,
    statement,
)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("calibrated")]

Copy = Callable[[Path], Path]


def test_a_truncated_checkpoint_gives_way_to_the_one_before(tmp_path: Path, reference: Path) -> None:
    path = tmp_path / "fixed"
    killed_at(path, "*/pretrain/*/step-00000003.ckpt", FIXED)
    newest = max(path.glob("stages/pretrain/*/step-*.ckpt"))
    newest.write_bytes(newest.read_bytes()[:1000])
    code, text = finish(run_words(path, FIXED), tmp_path / "output")
    assert code == 0 and errors(text) == []
    assert f"warning: the checkpoint '{newest}' is damaged" in text
    assert same_release(path, reference)


def test_a_truncated_checkpoint_of_a_private_stage_costs_its_steps(tmp_path: Path, finished: Path) -> None:
    """Steps that were published are neither run again nor charged again."""
    path = tmp_path / "whole"
    killed_at(path, "*/finetune/*/step-00000003.ckpt")
    published = Ledger.read(path / "ledger.jsonl").published("dp-sgd")
    for newer in sorted(path.glob("stages/finetune/*/step-*.ckpt"))[1:]:
        newer.write_bytes(b"")
    code, text = finish(run_words(path), tmp_path / "output")
    assert code == 0, text
    assert f"the ledger has {published} published steps of 'dp-sgd'" in text
    assert statement(path)["epsilon"] == statement(finished)["epsilon"]


def test_a_tampered_ledger_is_refused(finished: Path, copied: Copy, tmp_path: Path) -> None:
    path = copied(finished)
    ledger = path / "ledger.jsonl"
    ledger.write_text(ledger.read_text().replace('"noise_multiplier":5.0', '"noise_multiplier":9.0'))
    code, text = finish(run_words(path, report=True), tmp_path / "output")
    assert code == 2
    assert len(errors(text)) == 1 and "ledger.jsonl, line 2: its contents do not match its hash" in errors(text)[0]


@pytest.mark.parametrize("kept", [0, 1, 4, 8])
def test_a_shortened_ledger_is_refused(finished: Path, copied: Copy, tmp_path: Path, kept: int) -> None:
    path = copied(finished)
    lines = (path / "ledger.jsonl").read_text().splitlines(keepends=True)
    (path / "ledger.jsonl").write_text("".join(lines[:kept]))
    code, text = finish(run_words(path, report=True), tmp_path / "output")
    assert code == 2
    assert len(errors(text)) == 1 and "the ledger was shortened or replaced" in errors(text)[0]


def test_a_lost_ledger_is_refused(finished: Path, copied: Copy, tmp_path: Path) -> None:
    path = copied(finished)
    (path / "ledger.jsonl").unlink()
    code, text = finish(run_words(path, report=True), tmp_path / "output")
    assert code == 2 and len(errors(text)) == 1
    assert "ledger.jsonl' is missing" in errors(text)[0] and not (path / "ledger.jsonl").exists()


@pytest.mark.parametrize("pattern", ["*/query/histogram.json", "*/finetune/*/step-00000002.ckpt"])
def test_a_ledger_shorter_than_an_unfinished_stage_knows_is_refused(tmp_path: Path, pattern: str) -> None:
    """A histogram or a checkpoint is not used with a ledger that does not have its charge."""
    path = tmp_path / "whole"
    killed_at(path, pattern)
    lines = (path / "ledger.jsonl").read_text().splitlines(keepends=True)
    charge = max(index for index, line in enumerate(lines) if '"kind":"reserve"' in line)
    (path / "ledger.jsonl").write_text("".join(lines[:charge]))
    code, text = finish(run_words(path), tmp_path / "output")
    assert code == 2, text
    assert "the ledger was shortened or replaced" in errors(text)[0]


def test_a_torn_last_line_is_set_aside(tmp_path: Path, reference: Path) -> None:
    path = tmp_path / "fixed"
    killed_at(path, "*/pretrain/done.json", FIXED)
    with open(path / "ledger.jsonl", "a") as file:
        file.write('{"charge":4,"ha')
    code, text = finish(run_words(path, FIXED), tmp_path / "output")
    assert code == 0 and "warning" in text and "torn" in text
    assert same_release(path, reference)


def test_an_answered_query_is_never_asked_again(finished: Path, copied: Copy, tmp_path: Path) -> None:
    path = copied(finished)
    (path / "stages" / "query" / "histogram.json").unlink()
    (path / "stages" / "query" / "done.json").unlink()
    code, text = finish(run_words(path, report=True), tmp_path / "output")
    assert code == 2 and "the semantic query was answered" in errors(text)[0]
    assert charges(path) == ["semantic query", "dp-sgd"]


def test_another_configuration_is_refused_with_what_differs(finished: Path, copied: Copy, tmp_path: Path) -> None:
    path = copied(finished)
    code, text = finish(run_words(path, "finetune.learning_rate=0.5", report=True), tmp_path / "output")
    assert code == 2 and len(errors(text)) == 1
    assert "finetune.learning_rate: 0.002 there, 0.5 here" in text and "run.name=whole-2" in text
    assert (path / "ledger.jsonl").read_bytes() == (finished / "ledger.jsonl").read_bytes()


def test_machine_settings_may_change(finished: Path, copied: Copy, tmp_path: Path) -> None:
    path = copied(finished)
    assert finish(run_words(path, "launch.checkpoint_minutes=7", report=True), tmp_path / "output")[0] == 0


@pytest.mark.parametrize(
    "before",
    [
        pytest.param(fill_disk, id="from the start"),
        *(
            pytest.param(at(pattern, fill_disk), id=pattern)
            for pattern in (
                "*/query/done.json",  # no space for the selected images
                "*/finetune/checkpoints-*/step-00000002.ckpt",
                "*/release/model.safetensors",
                "*/internal/scores.json",  # no space for the report
            )
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:the semantic classifier")  # of which the output file would be full
def test_a_full_disk_is_one_message_and_nothing_is_lost(
    tmp_path: Path, reference: Path, before: Callable[[], None]
) -> None:
    path = tmp_path / "fixed"
    code, text = finish(run_words(path, FIXED, "-q", report=True), tmp_path / "output", before)
    assert code == 2, text
    assert len(errors(text)) == 1 and "File too large" in errors(text)[0] and "same command again" in errors(text)[0]
    code, text = finish(run_words(path, FIXED, report=True), tmp_path / "output")
    assert code == 0, text
    assert same_release(path, reference)
    assert charges(path) == ["semantic query", "dp-sgd"]


def test_a_second_process_on_the_same_run_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "whole"
    stop = at("*/classifier/done.json", lambda: os.kill(os.getpid(), signal.SIGSTOP))
    first = Child(run_words(path), tmp_path / "first", stop)
    first.wait_stopped()
    try:
        code, text = finish(run_words(path), tmp_path / "second")
        assert code == 2 and len(errors(text)) == 1
        assert f"in use by another process (process id {first.pid})" in errors(text)[0]
    finally:
        first.send(signal.SIGCONT)
    assert first.wait() == 0, first.text
