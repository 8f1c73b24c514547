"""Comparisons and sweeps of tiny runs."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from accounting.composition import epsilon
from accounting.ledger import Ledger
from accounting.statements import delta_text, epsilon_text
from launch.studies.study import Cell, Study
from tests.launch.runs import charges, privimage, statement
from tests.launch.studies.tiny import rows, study

pytestmark = pytest.mark.slow


@pytest.mark.filterwarnings("ignore")
def test_methods_are_compared_and_one_that_fails_does_not_lose_the_others(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = study("compare", tmp_path, "--methods", "pdp_diffusion,query_only,nonpriv", "--epsilons", "1,10")
    folder = tmp_path / "demo-comparison"
    (folder / "runs").mkdir(parents=True)
    (folder / "runs" / "query_only-1-seed0").write_text("in the way")
    assert privimage(*words, "-q") == 1
    found = rows(folder)
    assert [(row["method"], row["epsilon"]) for row in found] == [
        *(("pdp_diffusion", x) for x in ("1.0", "10.0")),
        ("query_only", "10.0"),
        ("nonpriv", ""),
    ]
    for row in found[:3]:
        run = folder / "runs" / f"{row['method']}-{float(row['epsilon']):g}-seed0"
        assert float(row["epsilon_spent"]) == statement(run)["epsilon"] <= float(row["epsilon"])
    assert found[3]["epsilon_spent"] == "" and not (folder / "runs" / "nonpriv-seed0" / "release").exists()
    page = (folder / "comparison.html").read_text()
    assert "query_only-1-seed0" in page and "cannot be a run" in page and "data:image/png" in page
    assert "cannot be a run" in capfd.readouterr().err
    kept = json.loads((folder / "runs" / "pdp_diffusion-1-seed0" / "stages" / "pretrain" / "done.json").read_text())
    shared = json.loads((folder / "runs" / "pdp_diffusion-10-seed0" / "stages" / "pretrain" / "done.json").read_text())
    assert shared["fingerprint"] == kept["fingerprint"] and shared["line"] == f"{kept['line']} (shared)"
    (folder / "runs" / "query_only-1-seed0").unlink()
    assert privimage(*words, "--json") == 0
    outcomes = json.loads(capfd.readouterr().out)
    assert len(outcomes) == 5 and all(outcome["failure"] is None for outcome in outcomes)
    assert charges(folder / "runs" / "query_only-1-seed0") == ["semantic query"]
    one = study("compare", tmp_path, "--methods", "pdp_diffusion", "--epsilons", "1", "finetune.steps=5")
    assert privimage(*one, "-q") == 1
    said = capfd.readouterr().err
    assert "made by a different configuration" in said and "Traceback" not in said
    assert folder.stat().st_mode & 0o077 == 0


@pytest.mark.filterwarnings("ignore")
def test_several_runs_at_once_come_to_the_same_table(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    words = study("compare", tmp_path, "--methods", "query_only,public_only", "--epsilons", "1,10")
    folder = tmp_path / "demo-comparison"
    assert privimage(*words, "--jobs", "2", "--json") == 0
    together = rows(folder)
    assert len(together) == 3
    assert privimage(*words, "-q") == 0  # finds all of it done, in the same order
    assert rows(folder) == together
    assert privimage(*words, "--jobs", "0") == 2
    assert "--jobs: got 0; allowed is 1 or more" in capfd.readouterr().err
    (folder / "runs" / "public_only-seed0" / "config.yaml").write_text("nothing: 1")
    assert privimage(*words, "--jobs", "3") == 1
    assert "failed      public_only-seed0: nothing: unknown key" in capfd.readouterr().err
    assert len(rows(folder)) == 2


@pytest.mark.filterwarnings("ignore")
def test_what_all_runs_cost_together_is_of_whole_ledgers(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A shortened ledger, or invalid scores, affect only their own cell."""
    words = study("compare", tmp_path, "--methods", "query_only,dpdm", "--epsilons", "1,10", "-q")
    folder = tmp_path / "demo-comparison"
    assert privimage(*words) == 0
    runs = [folder / "runs" / f"{name}-seed0" for name in ("query_only-1", "query_only-10", "dpdm-1", "dpdm-10")]
    ledgers = [Ledger.read(run / "ledger.jsonl") for run in runs]
    every = [mechanism for ledger in ledgers for mechanism in ledger.mechanisms()]
    page = (folder / "comparison.md").read_text()
    delta = ledgers[0].terms["delta"]
    assert f"given ε = {epsilon_text(epsilon(every, delta, 'rdp'))} at δ = {delta_text(delta)}" in page
    assert "Choosing one by these scores spends privacy that neither number covers" in page
    (runs[0] / "internal" / "scores.json").write_text('{"scores": [{"name": "x"}]}')
    (runs[1] / "internal" / "scores.json").write_text('{"rows": []}')
    lines = (runs[2] / "ledger.jsonl").read_text().splitlines(keepends=True)
    (runs[2] / "ledger.jsonl").write_text("".join(lines[:2]))
    assert privimage(*words) == 1
    said = capfd.readouterr().err
    for message in ("are damaged (KeyError", "it has no scores", "was shortened or replaced"):
        assert message in said
    assert "Traceback" not in said and [row["method"] for row in rows(folder)] == ["dpdm"]
    left = epsilon(ledgers[3].mechanisms(), delta, "rdp")
    assert f"given ε = {epsilon_text(left)} at" in (folder / "comparison.md").read_text()


@pytest.mark.filterwarnings("ignore")
def test_a_budget_that_one_method_cannot_keep_is_one_failed_cell(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["--methods", "query_only,privimage_d,public_only", "--epsilons", "50,200", "query.noise_multiplier=0.1"]
    assert privimage(*study("compare", tmp_path, *words, "-q")) == 1
    assert "Traceback" not in capfd.readouterr().err
    page = (tmp_path / "demo-comparison" / "comparison.md").read_text()
    assert "Failed: privimage_d-50-seed0: privacy.epsilon" in page
    found = {(row["method"], row["epsilon"]) for row in rows(tmp_path / "demo-comparison")}
    assert ("public_only", "") in found and ("privimage_d", "200.0") in found and ("privimage_d", "50.0") not in found


def test_several_runs_at_once_have_no_more_threads_than_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    cores = os.cpu_count() or 1
    alone, several = (Study(Path(), "demo", [], [], jobs=jobs).environment() for jobs in (1, 2 * cores))
    assert "OMP_NUM_THREADS" not in alone
    assert (
        several["OMP_NUM_THREADS"] == several["OPENBLAS_NUM_THREADS"] == "1" and several["PATH"] == os.environ["PATH"]
    )


def test_what_others_share_comes_first() -> None:
    cells = [Cell(group, x, seed, (), f"{group}-{x}") for group in "ab" for x in (1.0, 10.0) for seed in (0, 1)]
    first, rest = Study(Path(), "demo", [], cells, jobs=2).waves()
    assert [(cell.group, cell.x, cell.seed) for cell in first] == [("a", 1.0, 0), ("a", 1.0, 1)]
    assert [cell.x for cell in rest] == [1.0] * 2 + [10.0] * 4 and {*first, *rest} == {*cells}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["compare", "demo", "--methods", "privimage"], "there is no method 'privimage'"),
        (["compare", "demo", "--epsilons", "1,zero"], "--epsilons: got '1,zero'"),
        (["compare", "demo", "--epsilons", "0"], "--epsilons: got '0'"),
        (["compare", "demo", "method=dpdm"], "method=dpdm: compare chooses this itself"),
        (["compare", "demo", "--seeds", "0"], "--seeds: got 0; allowed is 1 or more"),
        (["compare", "demo", "generator.multiplicity=2"], "method=dpgan: generator.multiplicity: unknown key"),
        (["compare", "demo", "--methods", "dpdm,"], "--methods: got 'dpdm,'"),
        (["compare", "demo", "--name", "."], "--name: got '.'"),
        (["compare", "demo", "stages=[classifier,finetune]"], "every run needs the stages evaluate and report"),
        (["sweep", "demo", "privacy.epsilon=1"], "which key?"),
        (["sweep", "demo", "selection.ratio=0.1,"], "selection.ratio: a value between or after the commas is missing"),
        (["sweep", "demo", "run.seed=1,2"], "use --seeds"),
        (["sweep", "demo", "run.name=a,b"], "run.name: sweep names its runs itself; use --name"),
        (["compare", "demo", "run.name=a"], "run.name=a: compare chooses this itself"),
        (["sweep", "demo", "pretrain.stepz=1,2"], "pretrain.stepz: unknown key"),
    ],
)
def test_what_cannot_be_compared_is_one_message(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert privimage(*words, f"run.root={tmp_path}") == 2
    said = capsys.readouterr().err
    assert message in said and "Traceback" not in said and not list(tmp_path.iterdir())


def test_runs_have_names_that_are_folders_and_no_two_the_same() -> None:
    labels = ["privimage_d-10", "a.b=1", "a.b=2", "c=a/b", "c=a_b", "c=[1,2]", "x" * 90, "x" * 91, "./a"]
    names = [Cell("", None, 3, (), label).name for label in labels]
    assert names[:2] == ["privimage_d-10-seed3", "a.b=1-seed3"]
    assert len(set(names)) == len(names)
    assert not any("/" in name or name.startswith(".") or len(name) > 110 for name in names)
