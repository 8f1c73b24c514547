"""What progress shows: nominal values, nothing of private data, no flood in a log file."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import pytest

from launch.training import progress_bar
from launch.training.progress_bar import Nominal, ProgressBar, ProgressLines, progress
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


def test_private_stage_leaves_a_line_every_tenth(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress_bar, "SHORT", STEPS)
    with pytest.raises(Stop):
        private_fit(tmp_path, crash=6, progress=ProgressLines(PRIVATE))
    private_fit(tmp_path, progress=ProgressLines(PRIVATE))
    lines = capfd.readouterr().err.splitlines()
    assert lines[1] == "  finetune    3/12 steps, ε ≤ 0.75"
    before, after = ["2/12", "3/12", "4/12", "5/12", "6/12"], ["6/12", "8/12", "9/12", "10/12", "11/12", "12/12"]
    assert [line.split()[1] for line in lines] == [*before, *after]


def lines_at(nominal: Nominal, seconds_a_step: float, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The steps that get a line, for a number of seconds per step."""
    clock = [0.0]
    monkeypatch.setattr(progress_bar.time, "monotonic", lambda: clock[0])
    lines, said = ProgressLines(nominal), []
    monkeypatch.setattr("builtins.print", lambda text, **_: said.append(int(text.split()[1].split("/")[0])))
    trainer = SimpleNamespace(is_global_zero=True)
    for step in range(nominal.total_steps):
        lines.on_train_batch_start(trainer, None, (step,), step)  # type: ignore[arg-type]
        clock[0] += seconds_a_step
        lines.on_train_batch_end(trainer, None, None, (step,), step)  # type: ignore[arg-type]
    return said


@pytest.mark.parametrize("seconds", [0.01, 1.9, 2.7, 500.0])
def test_lines_of_a_private_stage_tell_nothing_of_its_steps_times(
    seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    nominal = dataclasses.replace(PRIVATE, total_steps=152)
    assert lines_at(nominal, seconds, monkeypatch) == [-(-152 * tenth // 10) for tenth in range(1, 11)]


def test_bar_on_a_terminal_goes_on_where_training_does(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Stop):
        private_fit(tmp_path, crash=6)
    private_fit(tmp_path, progress=ProgressBar(PRIVATE))
    output = capfd.readouterr()
    assert output.out == ""
    assert "6/12 steps" in output.err and "ε ≤ 1.50" in output.err
    assert "/s" not in output.err and "loss" not in output.err
