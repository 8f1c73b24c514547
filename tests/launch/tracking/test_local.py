"""CSV and TensorBoard, instead of Weights & Biases or together with it: what a whole run writes to them."""

from __future__ import annotations

import csv
import importlib.util
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from configs.errors import UserError
from configs.loading import load
from launch.tracking.tracking import Tracking, check_tracking
from launch.training.metrics_log import read_metrics
from tests.launch.runs import TINY, errors, finish, privimage, run_words
from tests.launch.tracking.tracked import tracked_run

pytestmark = pytest.mark.slow

HAS_TENSORBOARD = importlib.util.find_spec("tensorboard") is not None
Copy = Callable[[Path], Path]


def rows(path: Path) -> list[dict[str, float]]:
    with open(path, newline="") as file:
        return [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def with_csv(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run that gets a tracker afterwards."""
    path = Path(shutil.copytree(finished, tmp_path_factory.mktemp("csv") / finished.name))
    code, text = finish(run_words(path, "tracking=[csv]", report=True), path.with_name("output"))
    assert code == 0 and text.count("(done before)") == 8, text
    return path


def test_scores_stand_against_epsilon(with_csv: Path) -> None:
    points = json.loads((with_csv / "internal" / "scores.json").read_text())["on_the_way"]
    found = rows(with_csv / "internal" / "csv" / "scores" / "version_0" / "metrics.csv")
    assert [row["epsilon"] for row in found] == [point["epsilon"] for point in points]
    assert [row["step"] for row in found] == [2, 4]
    assert [row["scores/accuracy/lr"] for row in found] == [point["accuracies"]["lr"] for point in points]
    assert "release/accuracy/lr" in found[-1] and "release/accuracy/lr" not in found[0]


@pytest.mark.parametrize("stage", ["classifier", "pretrain", "finetune"])
def test_curves_are_those_of_the_run(with_csv: Path, stage: str) -> None:
    curves = read_metrics(with_csv / "internal" / "metrics" / stage)
    found = rows(with_csv / "internal" / "csv" / stage / "version_0" / "metrics.csv")
    for name, points in curves.items():
        assert [(row["step"], row[name]) for row in found if name in row] == points


def test_the_same_command_again_adds_nothing(with_csv: Path, tmp_path: Path) -> None:
    before = sorted((with_csv / "internal" / "csv").rglob("*"))
    assert finish(run_words(with_csv, "tracking=[csv]", report=True), tmp_path / "again")[0] == 0
    assert sorted((with_csv / "internal" / "csv").rglob("*")) == before


def test_stages_are_logged_as_they_go_and_a_new_start_has_its_own_file(tmp_path: Path) -> None:
    run = tracked_run(tmp_path, "tracking=[csv]")
    for start in range(2):
        (logger,) = Tracking(run).loggers("finetune", lambda step: {"epsilon": step / 10})
        logger.log_metrics({"loss": 3.0, "epoch": 0}, start)
        logger.save()
    files = sorted((tmp_path / "internal" / "csv" / "finetune").rglob("metrics.csv"))
    assert [rows(file) for file in files] == [
        [{"loss": 3.0, "epsilon": 0.0, "step": 0.0}],
        [{"loss": 3.0, "epsilon": 0.1, "step": 1.0}],
    ]


@pytest.mark.skipif(not HAS_TENSORBOARD, reason="the package tensorboard is not installed")
def test_tensorboard_shows_curves_scores_and_samples(finished: Path, copied: Copy, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    path = copied(finished)
    code, text = finish(run_words(path, "tracking=[tensorboard]", report=True), tmp_path / "output")
    assert code == 0, text

    def events(name: str) -> Any:
        accumulator = EventAccumulator(str(path / "internal" / "tensorboard" / name))
        accumulator.Reload()
        return accumulator

    losses = read_metrics(path / "internal" / "metrics" / "finetune")["loss"]
    shown = [(event.step, event.value) for event in events("finetune").Scalars("loss")]
    assert shown == [(step, pytest.approx(value)) for step, value in losses]
    scores = events("scores")
    assert [event.step for event in scores.Scalars("epsilon")] == [2, 4]
    assert [event.step for event in scores.Images("samples")] == [2, 4]


@pytest.mark.skipif(HAS_TENSORBOARD, reason="the package tensorboard is installed")
def test_tensorboard_without_its_package_is_one_message() -> None:
    with pytest.raises(UserError, match=r"tracking: 'tensorboard' needs the package .* tracking=\[csv\]"):
        check_tracking(load("demo", [*TINY, "tracking=[tensorboard]"]))


def test_a_tracker_that_does_not_exist_is_one_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert privimage(*run_words(tmp_path / "runs" / "x", "tracking=[wandb,mlflow]")) == 2
    (message,) = errors(capsys.readouterr().err)
    assert re.match(r"tracking: there is no 'mlflow' \(there are: csv, tensorboard, wandb\)", message)
    assert not (tmp_path / "runs").exists()


def test_none_and_a_disabled_one_make_nothing(tmp_path: Path) -> None:
    for words in (["tracking=[]"], ["tracking=[wandb]", "wandb.mode=disabled"]):
        assert Tracking(tracked_run(tmp_path, *words)).trackers == []
    assert not list(tmp_path.iterdir())


def test_the_other_processes_of_a_job_show_nothing() -> None:
    tracking = Tracking(None)
    assert tracking.trackers == [] and tracking.loggers("finetune") == []
