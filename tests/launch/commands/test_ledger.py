"""`privimage ledger`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from accounting.composition import prv_epsilon, rdp_epsilon
from accounting.groups import group_table
from accounting.ledger import Ledger
from accounting.statements import epsilon_text
from tests.launch.runs import privimage

pytestmark = pytest.mark.slow

Copy = Callable[[Path], Path]


def test_the_report_is_what_the_ledger_composes_to(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert privimage("ledger", "whole", "--root", str(finished.parent), "--json") == 0
    told = json.loads(capsys.readouterr().out)
    ledger = Ledger.read(finished / "ledger.jsonl")
    assert told["epsilon"] == told["epsilon_by_accountant"]["rdp"] == rdp_epsilon(ledger.mechanisms(), 5e-5)
    assert told["epsilon_by_accountant"]["prv"] == prv_epsilon(ledger.mechanisms(), 5e-5)
    assert told["target_epsilon"] == 10 and told["insecure"] is False
    assert [row["release_id"] for row in told["mechanisms"]] == ledger.release_ids()
    assert told["groups"] == group_table(ledger.mechanisms(), 5e-5)
    assert told["lines"] == len(ledger.entries) and told["head"] == ledger.head
    assert [row["name"] for row in told["mechanisms"]] == ["semantic query", "dp-sgd"]


@pytest.mark.parametrize("what", ["", "ledger.jsonl"])
def test_a_person_reads_the_same(finished: Path, what: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert privimage("ledger", str(finished / what)) == 0
    text = capsys.readouterr().out
    assert "chain intact" in text and "semantic query" in text and "dp-sgd" in text
    for row in group_table(Ledger.read(finished / "ledger.jsonl").mechanisms(), 5e-5):
        assert f"{row['records']} records ε = {epsilon_text(row['epsilon'])}" in text
    assert "of 10 at δ = 5e-05" in text and "NOT PRIVATE" not in text


def test_a_fixed_key_is_mentioned(reference: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert privimage("ledger", str(reference)) == 0
    assert "NOT PRIVATE" in capsys.readouterr().out


def damage(path: Path, how: str) -> str:
    """Damage a copy of a run's ledger; returns a part of the expected message."""
    ledger = path / "ledger.jsonl"
    lines = ledger.read_text().splitlines(keepends=True)
    if how == "tampered":
        ledger.write_text("".join(lines).replace('"steps":4', '"steps":3'))
        return "its contents do not match its hash"
    if how == "shortened":
        ledger.write_text("".join(lines[:3]))
        return "the ledger was shortened or replaced"
    if how == "shortened beside an unfinished stage":
        for marker in path.glob("stages/*/done.json"):
            if marker.parent.name != "classifier":
                marker.unlink()
        ledger.write_text("".join(lines[:1]))
        return "the ledger was shortened or replaced"
    if how == "marker":
        (path / "stages" / "query" / "done.json").write_text("{")
        return "it is damaged"
    ledger.unlink()
    return "the ledger cannot be read"


@pytest.mark.parametrize("how", ["tampered", "shortened", "shortened beside an unfinished stage", "marker", "removed"])
def test_a_damaged_ledger_is_one_message(
    finished: Path, copied: Copy, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = copied(finished)
    message = damage(path, how)
    assert privimage("ledger", str(path), "--json") == 2
    output = capsys.readouterr()
    assert output.out == "" and message in output.err and output.err.count("\n") == 1


def test_a_run_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert privimage("ledger", "nothing", "--root", str(tmp_path)) == 2
    assert "there is no run 'nothing'" in capsys.readouterr().err
