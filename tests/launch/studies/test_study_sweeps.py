"""Sweeps of tiny runs, and comparisons that were stopped."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import pytest

from launch.commands.sweep import split
from launch.studies import child
from tests.launch.runs import Child, draw_shapes, privimage
from tests.launch.studies.tiny import rows, study

pytestmark = pytest.mark.slow


@pytest.mark.filterwarnings("ignore")
def test_a_stopped_comparison_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = study("compare", tmp_path, "--methods", "dpdm", "--seeds", "2", "finetune.steps=20")
    folder = tmp_path / "demo-comparison" / "runs"
    with monkeypatch.context() as patch:
        patch.setattr(child, "subprocess", subprocess)  # a cell in an interpreter of its own
        comparison = Child(words, tmp_path / "output")
    end = time.monotonic() + 200
    while not (folder / "dpdm-10-seed0" / "stages" / "classifier" / "done.json").is_file():
        assert time.monotonic() < end, comparison.text
        time.sleep(0.1)
    comparison.send(signal.SIGTERM)
    assert comparison.wait() == 128 + signal.SIGTERM and "Traceback" not in comparison.text
    assert not (folder / "dpdm-10-seed1").exists()
    assert not (folder / "dpdm-10-seed0" / "internal" / "report.html").is_file()
    assert privimage(*words, "-q") == 0
    assert len(rows(folder.parent)) == 2


@pytest.mark.parametrize(
    ("word", "values"),
    [
        ("a=1,2", ["1", "2"]),
        ("a=[1,2],[3]", ["[1,2]", "[3]"]),
        ("a='1,2'", ["'1,2'"]),
        ("a={b: 1, c: 2}", ["{b: 1, c: 2}"]),
        ("a=", [""]),
    ],
)
def test_commas_separate_values_outside_of_brackets(word: str, values: list[str]) -> None:
    assert split(word) == ("a", values)


@pytest.mark.filterwarnings("ignore")
def test_another_key_is_another_sweep_and_what_is_not_whole_is_done_again(tmp_path: Path) -> None:
    words = ["method=public_only", "--name", "s", "-q"]
    assert privimage(*study("sweep", tmp_path, *words, "synthesize.count=20,40")) == 0
    assert privimage(*study("sweep", tmp_path, *words, "synthesize.batch_size=20,40")) == 0
    found = [(row["run"], row["synthesize.batch_size"]) for row in rows(tmp_path / "s")]
    assert found == [("demo", "20.0"), ("demo", "40.0")]
    runs = {path.name for path in (tmp_path / "s" / "runs").iterdir()}
    assert runs == {f"synthesize.{key}={n}-seed0" for key in ("count", "batch_size") for n in (20, 40)}
    damaged = tmp_path / "s" / "runs" / "synthesize.count=20-seed0"
    (damaged / "internal" / "scores.json").unlink()
    (damaged / "release" / "samples.png").write_bytes(b"no picture")
    assert privimage(*study("sweep", tmp_path, *words, "synthesize.count=20,40")) == 0
    assert (damaged / "internal" / "scores.json").is_file()


@pytest.mark.filterwarnings("ignore")
def test_scores_of_sets_that_are_not_public_are_not_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    draw_shapes(tmp_path / "data" / "train", 0, 20)
    draw_shapes(tmp_path / "data" / "test", 1, 6)
    mine = f"{{name: folder, root: {tmp_path}/data/train, test_root: {tmp_path}/data/test}}"
    words = ["method=nonpriv", f"sensitive={{name: digits}},{mine}", "synthesize.count=30", "--name", "s"]
    base = [word for word in study("sweep", tmp_path, *words) if not word.startswith("privacy.delta")]
    assert privimage(*base) == 0
    assert "LR" not in capfd.readouterr().out
    assert len(rows(tmp_path / "s")) == 2
