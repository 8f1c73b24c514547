"""The micro-batch: as configured, or chosen once for a stage and kept while it fits."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from configs.errors import UserError
from configs.loading import load
from launch.components import new_generator
from launch.stages import engine_choice
from launch.stages.engine_choice import choose
from lightning_modules.dp_sgd.micro_batch import GIB
from lightning_modules.dp_sgd.opacus_engine import OpacusEngine
from tests.launch.runs import FIXED, TINY, Child, at, die, finish, privimage, run_words, same_release

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")
AUTO = "finetune.micro_batch=auto"
MIB = 2**20


def chosen(*overrides: str, **settings: Any) -> int:
    config = load("demo", [*TINY, *overrides])
    model = new_generator(config, 10)
    return choose(config, model, OpacusEngine(model, 1.0), classes=10, device=CPU, **settings)


def free(monkeypatch: pytest.MonkeyPatch, memory: float) -> None:
    monkeypatch.setattr(engine_choice, "free_memory", lambda device: int(memory))


def test_a_number_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    free(monkeypatch, 1)
    assert chosen("finetune.micro_batch=7", record=tmp_path / "record.json") == 7
    assert list(tmp_path.iterdir()) == []


def test_all_that_fit_up_to_the_logical_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    free(monkeypatch, GIB)
    assert chosen(AUTO, "finetune.batch_size=40") == 40
    free(monkeypatch, 2 * MIB)
    few = chosen(AUTO, "finetune.batch_size=1000")
    free(monkeypatch, 6 * MIB)
    more = chosen(AUTO, "finetune.batch_size=1000")
    assert 1 <= few < more < 1000
    assert chosen(AUTO, "finetune.batch_size=1000", f"finetune.memory_gib={3 * MIB / GIB}") == more  # half of the free
    with pytest.raises(UserError, match=r"finetune\.memory_gib: one record needs 0\.01 GiB, but there are 0\.00 GiB"):
        chosen(AUTO, "finetune.memory_gib=1e-6")


def test_a_stage_keeps_its_choice_while_it_fits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    record = tmp_path / "record.json"
    words = [AUTO, "finetune.batch_size=1000"]
    free(monkeypatch, 6 * MIB)
    first = chosen(*words, record=record, fingerprint="one")
    for memory in (1000 * MIB, 5 * MIB):  # others have ended, others have begun
        free(monkeypatch, memory)
        assert chosen(*words, record=record, fingerprint="one") == first
    free(monkeypatch, 2 * MIB)
    less = chosen(*words, record=record, fingerprint="one")
    assert less < first and json.loads(record.read_text())["size"] == less
    free(monkeypatch, 6 * MIB)
    assert chosen(*words, record=record, fingerprint="two") == first  # another stage's choice is none of its own


def test_preflight_tells_the_choice(capsys: pytest.CaptureFixture[str]) -> None:
    stages = "stages=[classifier,query,select,pretrain,finetune]"
    assert privimage("preflight", "demo", *TINY, AUTO, stages, "--json") == 0
    told = {row["stage"]: row["basis"] for row in json.loads(capsys.readouterr().out)["estimates"]}
    assert told["finetune"] == "4 steps of 40 records on average, 40 at once (auto)"
    assert privimage("preflight", "demo", *TINY, AUTO, "finetune.memory_gib=1e-6", stages) == 2
    assert capsys.readouterr().err.startswith("privimage: finetune.memory_gib: one record needs")


@pytest.mark.usefixtures("calibrated")
def test_a_resumed_run_ends_with_the_same_bits(tmp_path: Path) -> None:
    """Although the free memory has changed in the meantime."""

    def with_memory(memory: float, then: Any = lambda: None) -> Any:
        def before() -> None:
            engine_choice.free_memory = lambda device: int(memory)  # in the child process alone
            then()

        return before

    whole, stopped = tmp_path / "one" / "fixed", tmp_path / "two" / "fixed"
    for path in (whole, stopped):
        path.parent.mkdir()
    code, text = finish(run_words(whole, FIXED, AUTO), whole.with_name("output"), with_memory(1.5 * MIB))
    size = json.loads((whole / "stages" / "finetune" / "micro_batch.json").read_text())["size"]
    assert code == 0 and f"4 DP-SGD steps ({size} records at once)" in text and size < 40

    kill = at("*/finetune/checkpoints-*/step-00000002.ckpt", die, after=True)
    child = Child(run_words(stopped, FIXED, AUTO), stopped.with_name("output"), with_memory(1.5 * MIB, kill))
    assert child.wait() == -signal.SIGKILL, child.text
    code, text = finish(run_words(stopped, FIXED, AUTO), stopped.with_name("output"), with_memory(GIB))
    assert code == 0 and f"({size} records at once)" in text
    assert same_release(whole, stopped)
