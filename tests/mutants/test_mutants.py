"""The list of mutants is up to date: every change can be made, and every test that must notice it exists."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.mutants.__main__ import ROOT, main, table
from tests.mutants.areas import AREAS, chosen
from tests.mutants.mutant import mutant
from tests.mutants.trial import Copy, Outcome, Verdict, tracked_files, tried


@pytest.mark.parametrize("area", AREAS)
def test_every_change_can_be_made_and_its_tests_are_there(area: str) -> None:
    assert all(each.old != each.new and each.tests for each in AREAS[area])
    problems = {each.breaks: each.problem(ROOT) for each in AREAS[area]}
    assert not {breaks: problem for breaks, problem in problems.items() if problem}


def test_there_are_enough_of_every_area_each_of_another_kind() -> None:
    every = [each for _, each in chosen("")]
    assert len(every) >= 60 and all(len(mutants) >= 8 for mutants in AREAS.values())
    assert max(Counter(each.breaks for each in every).values()) == 1
    assert max(Counter((each.file, each.old, each.new) for each in every).values()) == 1
    assert {each.file.split("/")[0] for each in every} >= {
        "accounting",
        "datamodules",
        "evolution",
        "launch",
        "lightning_modules",
        "semantics",
    }


def test_some_can_be_chosen_by_words() -> None:
    assert {area for area, _ in chosen("accounting: ")} == {"accounting"}
    assert chosen("charges are NOT composed")[0][1].file == "accounting/ledger.py"
    assert chosen("no such words") == [] and main(["-k", "no such words"]) == 2


def test_they_can_be_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(chosen(""))


SOURCE = "def doubled(x):\n    return 2 * x\n\n\ndef waits():\n    return False\n"
TESTS = """
import time
import pytest
from source import doubled, waits


def test_it_doubles():
    assert doubled(3) == 6


def test_it_does_something():
    doubled(3)


def test_it_ends():
    while waits():
        time.sleep(0.01)
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copy]:
    """A copy of a repository with one module and its tests."""
    root = tmp_path_factory.mktemp("root")
    (root / "tests").mkdir()
    (root / "source.py").write_text(SOURCE)
    (root / "tests" / "test_source.py").write_text(TESTS)
    (root / "tests" / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text())
    files = ["source.py", "tests/test_source.py", "tests/conftest.py"]
    copy = Copy(root, files)
    yield copy
    assert copy.run(["test_source.py"], limit=60).code == 0  # nothing stays of the changes
    assert (root / "source.py").read_text() == SOURCE
    copy.close()
    assert not copy.path.exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("old", "new", "test", "verdict", "by"),
    [
        ("2 * x", "3 * x", "test_it_doubles", Verdict.CAUGHT, "test_source.py::test_it_doubles"),
        ("2 * x", "4 * x", "test_it_does_something", Verdict.LIVES, "test_source.py::test_it_does_something passed"),
        ("return False", "return True", "test_it_ends", Verdict.HANGS, "did not end"),
        ("5 * x", "4 * x", "test_it_doubles", Verdict.STALE, "its old text occurs 0 times in source.py"),
        ("def", "def", "test_it_doubles", Verdict.STALE, "its old text occurs 2 times in source.py"),
        ("2 * x", "2 * (x", "test_it_doubles", Verdict.STALE, "was never closed"),
        ("2 * x", "3 * x", "test_it_triples", Verdict.STALE, "there is no test"),
        ("def doubled(x)", "def double(x)", "test_it_doubles", Verdict.BROKEN, "pytest ended with code"),
    ],
)
def test_a_mutant_is_caught_by_a_test_that_fails_and_by_nothing_else(
    copy: Copy, old: str, new: str, test: str, verdict: Verdict, by: str
) -> None:
    each = mutant("breaks it", "source.py", old, new, f"test_source.py::{test}")
    outcome = tried(each, copy, limit=3 if verdict is Verdict.HANGS else 300)
    assert outcome.verdict is verdict and by in outcome.by, outcome.by
    assert (copy.path / "source.py").read_text() == SOURCE


def test_what_was_not_caught_is_told_with_its_change() -> None:
    caught, lives = (mutant(name, "a.py", "one", "two", "test_a.py::test") for name in ("first", "second"))
    outcomes = [Outcome(caught, Verdict.CAUGHT, "test"), Outcome(lives, Verdict.LIVES, "test passed")]
    told = table([("a", caught), ("b", lives)], outcomes)
    assert [line.split() for line in told.splitlines()[2:4]] == [["a", "1", "1"], ["b", "1", "0"]]
    assert "LIVES: second\n  a.py: 'one' -> 'two'\n  test passed" in told and "first" not in told


def test_the_copy_has_the_files_that_are_not_yet_committed_and_none_that_are_ignored() -> None:
    files = set(tracked_files(ROOT))
    assert {"pyproject.toml", "tests/mutants/trial.py", "accounting/ledger.py"} <= files
    assert not any(name.startswith(".venv/") or "__pycache__" in name for name in files)
