"""What progress shows: nominal values, nothing of private data, no flood in a log file."""

from pathlib import Path

import pytest

from launch import progress_bar
from launch.progress_bar import Nominal, ProgressBar, ProgressLines, progress
from tests.launch.fits import STEPS, Stop, private_fit, public_fit

PUBLIC = Nominal(stage="pretrain", total_steps=STEPS, batch=4, loss=True)
PRIVATE = Nominal(stage="finetune", total_steps=STEPS, batch=5, epsilon=lambda steps: steps / 4, timed=False)


def test_private_stage_shows_epsilon_alone() -> None:
    assert PRIVATE.values(6, rate=3.0, outputs={"loss": 1.0}) == ["ε ≤ 1.50"]


def test_public_stage_shows_throughput_and_loss() -> None:
    assert PUBLIC.values(6, rate=3.0, outputs={"loss": 1.0}) == ["12 images/s", "loss 1.0000"]


def test_short_stage_leaves_no_line_in_a_log_file(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    callback = progress(PUBLIC)
    assert isinstance(callback, ProgressLines)  # standard error is no terminal here
    public_fit(tmp_path, progress=callback)
    output = capfd.readouterr()
    assert output.out == "" and output.err == ""


def test_long_stage_leaves_a_line_every_tenth(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress_bar, "SOONEST", 0.0)
    with pytest.raises(Stop):
        private_fit(tmp_path, crash=6, progress=ProgressLines(PRIVATE))
    private_fit(tmp_path, progress=ProgressLines(PRIVATE))
    lines = capfd.readouterr().err.splitlines()
    assert lines[1] == "  finetune    4/12 steps, ε ≤ 1.00"
    assert [line.split()[1] for line in lines] == ["2/12", "4/12", "6/12", "7/12", "9/12", "11/12"]


def test_bar_on_a_terminal_goes_on_where_training_does(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Stop):
        private_fit(tmp_path, crash=6)
    private_fit(tmp_path, progress=ProgressBar(PRIVATE))
    output = capfd.readouterr()
    assert output.out == ""
    assert "6/12 steps" in output.err and "ε ≤ 1.50" in output.err
    assert "/s" not in output.err and "loss" not in output.err
