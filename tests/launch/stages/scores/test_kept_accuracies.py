"""An evaluation that is interrupted keeps what it has found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from launch.stages import evaluate
from launch.stages.scores.kept_accuracies import KeptAccuracies
from tests.launch.runs import FIXED, killed_at, privimage, run_words

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def test_what_is_kept_is_found_again_under_its_own_name_alone(tmp_path: Path) -> None:
    kept = KeptAccuracies(tmp_path / "accuracies", "a")
    assert kept.find("before", "lr") is None
    kept.keep("before", "lr", {"lr": 0.1 + 0.2})
    kept.keep("one category", "lr", {})
    assert kept.find("before", "lr") == {"lr": 0.1 + 0.2} and kept.find("one category", "lr") == {}
    assert kept.find("before", "mlp") is None and kept.find("selected", "lr") is None
    assert KeptAccuracies(tmp_path / "accuracies", "b").find("before", "lr") is None
    for file in (tmp_path / "accuracies").iterdir():
        file.write_text("[0.3]")
    assert kept.find("before", "lr") is None
    kept.forget()
    assert not (tmp_path / "accuracies").exists()


def test_an_evaluation_that_was_killed_trains_no_classifier_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    words = ["evaluate.classifiers=[lr,mlp]", FIXED]
    assert privimage(*run_words(whole, *words)) == 0
    killed_at(broken, "*/internal/scores.json", *words, after=False)
    files = sorted((broken / "internal" / "accuracies").glob("*.json"))
    files[0].unlink()  # as if it had been killed before this one
    trained: list[Any] = []
    honest = evaluate.classification_accuracy

    def watched(names: Any, *given: Any, **settings: Any) -> dict[str, float]:
        trained.append(names)
        return honest(names, *given, **settings)

    monkeypatch.setattr(evaluate, "classification_accuracy", watched)
    assert privimage(*run_words(broken, *words)) == 0
    assert len(files) > 2 and len(trained) == 1
    scores = [json.loads((path / "internal" / "scores.json").read_text()) for path in (whole, broken)]
    assert scores[0] == scores[1] and not (broken / "internal" / "accuracies").exists()


def test_a_log_file_says_which_of_the_long_trainings_is_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = ["images=4", "epochs=1", "least_steps=1", "batch_size=2"]
    words = ["evaluate.classifiers=[lr,resnet]", *(f"evaluate.training.resnet.{word}" for word in small)]
    assert privimage(*run_words(tmp_path / "run", *words, "evaluate.controls=[before]", "finetune.snapshots=0")) == 0
    told = [line for line in capsys.readouterr().err.splitlines() if "training" in line and "evaluate" in line]
    assert len(told) == 2 and all("training resnet on" in line for line in told)
    assert "2 of 4" in told[0] and "4 of 4" in told[1]
