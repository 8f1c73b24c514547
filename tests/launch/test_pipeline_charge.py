"""An answer or a release is refused if the ledger does not have its charge."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from lightning_modules.networks.unet import UNet
from tests.launch.runs import TINY, errors, finish, run_words

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("calibrated")]


def forget(path: Path, lines: int, *gone: str) -> None:
    """Cut a run's ledger to its first lines and remove folders of the run."""
    ledger = path / "ledger.jsonl"
    ledger.write_text("".join(ledger.read_text().splitlines(keepends=True)[:lines]))
    for name in gone:
        shutil.rmtree(path / name)


def test_an_answer_without_its_charge_is_refused(
    finished: Path, copied: Callable[[Path], Path], tmp_path: Path
) -> None:
    """The histogram exists, the stage is not marked as done, and the ledger is an older copy."""
    path = copied(finished)
    later = [f"stages/{name}" for name in ("select", "pretrain", "finetune", "synthesize", "evaluate", "report")]
    forget(path, 1, *later, "release")
    (path / "stages" / "query" / "done.json").unlink()

    code, text = finish(run_words(path, report=True), tmp_path / "output")

    assert code == 2
    assert "shortened or replaced" in errors(text)[0]
    assert not (path / "release").exists()


def test_an_answer_that_was_changed_is_refused(finished: Path, copied: Callable[[Path], Path], tmp_path: Path) -> None:
    """The ledger has its digest; a digest that was not there yet when the process ended is entered."""
    path = copied(finished)
    shutil.rmtree(path / "release")
    for stage in ("query", "select", "pretrain", "finetune", "synthesize", "evaluate", "report"):
        (path / "stages" / stage / "done.json").unlink()
    answer = path / "stages" / "query" / "histogram.json"
    found = json.loads(answer.read_text())
    found["histogram"][0][0] += 1
    answer.write_text(json.dumps(found))
    before = (path / "ledger.jsonl").read_bytes()
    code, text = finish(run_words(path, report=True), tmp_path / "output")
    assert code == 2 and "the answer of semantic query on the disk (step 1) is not the one" in errors(text)[0]
    assert (path / "ledger.jsonl").read_bytes() == before and not (path / "release").exists()


def test_a_release_without_its_charges_is_refused(
    finished: Path, copied: Callable[[Path], Path], tmp_path: Path
) -> None:
    path = copied(finished)
    forget(path, 4, *(f"stages/{name}" for name in ("finetune", "synthesize", "evaluate", "report")))
    code, text = finish(run_words(path, report=True), tmp_path / "output")
    assert code == 2
    assert "shortened or replaced" in errors(text)[0]


def test_a_release_that_was_removed_is_made_again_free_of_charge(
    finished: Path, copied: Callable[[Path], Path], tmp_path: Path
) -> None:
    path = copied(finished)
    before = (path / "ledger.jsonl").read_text()
    shutil.rmtree(path / "release")
    code, text = finish(run_words(path, report=True), tmp_path / "output")
    assert code == 0, text
    assert (path / "release" / "privacy.json").is_file()
    assert (path / "ledger.jsonl").read_text() == before


def test_a_network_that_mixes_records_is_found_before_the_query_is_charged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = UNet.forward

    def mixing(network: UNet, *inputs: torch.Tensor) -> torch.Tensor:
        found = forward(network, *inputs)
        return found + 0.1 * found.mean(dim=0, keepdim=True)

    monkeypatch.setattr(UNet, "forward", mixing)
    code, text = finish(["run", "demo", *TINY, f"run.root={tmp_path}", "run.name=mixed"], tmp_path / "output")
    assert code == 2 and "mixes records" in errors(text)[0]
    kinds = [json.loads(line)["kind"] for line in (tmp_path / "mixed" / "ledger.jsonl").read_text().splitlines()]
    assert kinds == ["open"]
