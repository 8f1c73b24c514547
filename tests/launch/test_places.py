"""Whole runs on a device where an image's answer depends on other images: refused before anything is charged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from launch.processes.ranks import Ranks
from launch.run.context import Context
from lightning_modules.classifier import SemanticClassifier
from tests.launch.runs import charges, privimage, run_words

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which sensitive images have been read."""
    found: list[str] = []
    plain = Context.sensitive.func

    def watched(context: Context) -> Any:
        found.append("sensitive")
        return plain(context)

    monkeypatch.setattr(Context, "sensitive", property(watched))
    return found


def uneven(answers: Tensor) -> Tensor:
    """Adds one to the last bit in the second half of a batch."""
    answers[len(answers) // 2 :] = torch.nextafter(answers[len(answers) // 2 :], torch.tensor(9e9))
    return answers


def wrong(monkeypatch: pytest.MonkeyPatch, method: str, change: Callable[[Tensor], Tensor]) -> None:
    plain = getattr(SemanticClassifier, method)
    monkeypatch.setattr(SemanticClassifier, method, lambda self, images: change(plain(self, images)))


@pytest.mark.parametrize(
    ("words", "method", "said"),
    [
        ([], "scores", "query: the query function's scores of an image change with its place in a batch"),
        (["method=sim_pe"], "features", "evolution.features: on cpu the semantic features of an image change"),
        (["method=privimage_evolved"], "features", "evolution.features: on cpu the semantic features of an image"),
    ],
    ids=["query", "votes", "votes after a query"],
)
def test_answers_that_depend_on_the_place_are_refused_before_the_charge(
    words: list[str],
    method: str,
    said: str,
    tmp_path: Path,
    read: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "run"
    with monkeypatch.context() as patch:
        wrong(patch, method, uneven)
        assert privimage(*run_words(path, *words)) == 2
    assert said in capsys.readouterr().err
    assert charges(path) == [] and read == []


def test_categories_that_depend_on_the_batch_are_refused_before_the_charge(
    tmp_path: Path, read: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = SemanticClassifier.topk

    def topk(self: SemanticClassifier, images: Tensor, k: int) -> Tensor:
        return (plain(self, images, k) + (images.float().mean() > 60).long()) % self.semantics

    monkeypatch.setattr(SemanticClassifier, "topk", topk)
    path = tmp_path / "run"
    assert privimage(*run_words(path)) == 2
    assert "query: the query function's categories of an image change" in capsys.readouterr().err
    assert charges(path) == [] and read == []


def test_processes_that_answer_differently_are_refused_before_the_charge(
    tmp_path: Path, read: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A second process that rounds differently, or finds that its own answers change."""
    for name, other, said in (
        ("other", ("", "another hash"), "the processes of this job answer differently"),
        ("broken", ("query: of an image change", ""), "query: of an image change"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(
                Ranks,
                "all_gather",
                lambda self, value, other=other: [value, other if isinstance(value, tuple) else None],
            )
            assert privimage(*run_words(tmp_path / name)) == 2
        assert said in capsys.readouterr().err
        assert charges(tmp_path / name) == [] and read == []


def test_both_are_asked_where_nothing_depends_on_it(tmp_path: Path, read: list[str]) -> None:
    path = tmp_path / "run"
    assert privimage(*run_words(path, "method=privimage_evolved")) == 0
    assert charges(path) == ["semantic query", "private evolution", "dp-sgd"] and read
