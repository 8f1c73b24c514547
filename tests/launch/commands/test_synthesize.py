"""`privimage synthesize`: more images from a finished run."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from launch.run.file_times import RELEASED_AT
from launch.run.release import read_images
from tests.launch.runs import privimage, times

pytestmark = pytest.mark.slow

Copy = Callable[[Path], Path]


def test_images_are_drawn_at_no_cost(finished: Path, copied: Copy, capsys: pytest.CaptureFixture[str]) -> None:
    path = copied(finished)
    assert privimage("synthesize", str(path), "--count", "25", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["count"] == 25 and Path(told["path"]).parent == path / "release"
    assert times(path / "release") == {RELEASED_AT * 10**9}
    images = read_images(Path(told["path"]))
    assert len(images) == 25 and np.bincount(images.labels).max() == 3
    assert (path / "ledger.jsonl").read_bytes() == (finished / "ledger.jsonl").read_bytes()


def test_the_run_s_own_seed_draws_the_run_s_own_images(finished: Path, tmp_path: Path) -> None:
    output = tmp_path / "new" / "set.npz"
    words = ["--count", "60", "--seed", "0", "--batch-size", "20", "--output", str(output), "-q"]
    assert privimage("synthesize", str(finished), *words) == 0
    own = read_images(finished / "release" / "synthetic.npz")
    assert np.array_equal(read_images(output).images, own.images)
    assert output.stat().st_mtime == RELEASED_AT < output.parent.stat().st_mtime


def test_a_copy_of_the_release_folder_is_enough(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing of the run is there, and what is drawn is the same."""
    copy = Path(shutil.copytree(finished / "release", tmp_path / "downloads" / "release"))
    (copy / "synthetic.npz").unlink()
    monkeypatch.chdir(tmp_path)
    words = ["synthesize", "downloads/release", "--count", "60", "--seed", "0", "--batch-size", "20", "-q"]
    assert privimage(*words) == 0
    assert "in synthetic-60-0.npz (seed 0)" in capsys.readouterr().out
    drawn, own = read_images(tmp_path / "synthetic-60-0.npz"), read_images(finished / "release" / "synthetic.npz")
    assert np.array_equal(drawn.images, own.images) and drawn.class_names == own.class_names
    assert (tmp_path / "synthetic-60-0.npz").stat().st_mtime == RELEASED_AT


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        (["privacy.json"], "This release has images only"),
        (["privacy.json", "model.json"], "there are no weights at"),
        (["synthetic.npz"], "neither a run (it has no config.yaml) nor a release (it has no privacy.json)"),
    ],
)
def test_a_release_without_a_model_is_one_message(
    finished: Path, tmp_path: Path, kept: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in kept:
        shutil.copy(finished / "release" / name, tmp_path)
    assert privimage("synthesize", str(tmp_path), "--count", "5") == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_a_model_of_another_version_is_one_message(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = Path(shutil.copytree(finished / "release", tmp_path / "release"))
    for text in ("[]", '{"generator": {"name": "unheard of"}}', '{"generator": {"name": "diffusion", "new": 1}}', "{"):
        (copy / "model.json").write_text(text)
        assert privimage("synthesize", str(copy), "--count", "5") == 2
        error = capsys.readouterr().err
        assert error.startswith("privimage: ") and error.count("\n") == 1, error


def test_the_speed_is_told(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["synthesize", str(finished), "--count", "20", "--output", str(tmp_path / "set.npz")]
    assert privimage(*words, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["images_per_second"] > 0 and told["compile_seconds"] == 0
    assert privimage(*words, "-q") == 0
    assert re.fullmatch(r"20 images at [\d.]+ images/s in .+set\.npz \(seed \d+\)\n", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("words", "precision"), [([], "bf16"), (["--precision", "fp32"], "fp32"), (["--no-compile"], "bf16")]
)
def test_precision_is_the_run_s_unless_given(
    finished: Path, copied: Copy, words: list[str], precision: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = copied(finished)
    config = path / "config.yaml"
    config.write_text(config.read_text().replace("precision: fp32", "precision: bf16"))
    assert privimage("synthesize", str(path), "--count", "5", "--json", *words) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["precision"], told["compile"]) == (precision, False)


def test_a_failing_compiler_is_one_message(finished: Path, monkeypatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("backend='inductor' raised:\nInvalidCxxCompiler: No working C++ compiler found.\nMore.")

    monkeypatch.setattr("torch.compile", lambda forward, **_: fails)
    assert privimage("synthesize", str(finished), "--count", "5", "--compile", "-q") == 2
    output = capsys.readouterr()
    assert output.err.startswith("privimage: synthesize.compile: the network could not be compiled: InvalidCxxCompiler")
    assert output.out == "" and output.err.count("\n") == 1 and "--no-compile" in output.err


def test_a_fixed_key_marks_later_draws_too(reference: Path, tmp_path: Path) -> None:
    assert privimage("synthesize", str(reference), "--count", "10", "--output", str(tmp_path / "set.npz"), "-q") == 0
    with np.load(tmp_path / "set.npz") as data:
        assert "NOT PRIVATE" in str(data["notice"])


@pytest.mark.parametrize(
    "words",
    [
        ["--count", "0"],
        ["--count", "5", "--batch-size", "0"],
        ["--count", "5", "--seed", "1" + "0" * 30],
        ["--count", "5", "--seed", "-1"],
    ],
)
def test_impossible_numbers_are_refused(finished: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert privimage("synthesize", str(finished), *words) == 2
    output = capsys.readouterr()
    assert output.out == "" and output.err.startswith("privimage: --") and output.err.count("\n") == 1


def test_an_unfinished_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from configs.loading import load
    from launch.run.directory import RunDirectory

    RunDirectory(tmp_path / "run").claim(load("demo"))
    assert privimage("synthesize", str(tmp_path / "run"), "--count", "5") == 2
    assert "its method has no model" in capsys.readouterr().err


def test_damaged_weights_are_one_message(finished: Path, copied: Copy, capsys: pytest.CaptureFixture[str]) -> None:
    path = copied(finished)
    weights = path / "release" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-5])
    assert privimage("synthesize", str(path), "--count", "5") == 2
    assert "cannot read the weights" in capsys.readouterr().err
