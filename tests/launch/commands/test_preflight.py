"""`privimage preflight`."""

from __future__ import annotations

import re

import pytest

from tests.launch.runs import TINY, errors, privimage


@pytest.mark.slow
def test_a_person_reads_plan_and_cost(capsys: pytest.CaptureFixture[str]) -> None:
    assert privimage("preflight", "demo", *TINY) == 0
    output = capsys.readouterr()
    lines = output.out.splitlines()
    assert lines[0] == "budget: ε = 10, δ = 5e-05, n = 1437; one record added or removed"
    rows = {line.split("  ")[0]: line for line in lines}
    assert rows["semantic query"].split()[2] == "5" and "0.0278" in rows["dp-sgd"]
    assert any(line.startswith("composed: RDP ε = 9.99") and "(calibrated)" in line for line in lines)
    (spared,) = [line for line in lines if line.startswith("privacy.accountant=prv composes more tightly")]
    less, planned = (float(word) for word in re.findall(r"\d+\.\d+", spared)[:2])
    assert less < planned == float(rows["dp-sgd"].split()[1])
    for stage in ("classifier", "query", "pretrain", "finetune", "synthesize"):
        assert "GiB" in rows[stage]
    assert lines[-1].startswith("together about ")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("query.noise_multiplier=0.1", "leaves nothing of the target 10"),
        ("privacy.delta=0.01", "is not below 1/n"),
        ("finetune.batch_size=2000", "allowed is at most n = 1437"),
        ("stages=[query]", "'query' needs classifier before it"),
        ("selection.semantics=50", "selection.semantics"),
        ("sensitive.name=folder", "sensitive.root: not given"),
    ],
)
def test_what_cannot_be_is_refused(override: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert privimage("preflight", "demo", *TINY, override, "--json") == 2
    output = capsys.readouterr()
    (said,) = errors(output.err)
    assert output.out == "" and message in said
