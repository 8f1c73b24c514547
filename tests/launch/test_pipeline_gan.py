"""Whole runs with a GAN: from the command to the release, and killed and resumed."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

from configs.loading import load
from launch.run.directory import RunDirectory
from tests.launch.runs import (
    FIXED,
    RELEASE,
    TINY_GAN,
    Child,
    at,
    charges,
    die,
    finish,
    privimage,
    published,
    same_release,
    statement,
)
from tests.launch.setups import plan

pytestmark = pytest.mark.slow

STAGES = "stages=[classifier,query,select,pretrain,finetune,synthesize,evaluate]"  # no charts
WORDS = ["method=privimage_g", *TINY_GAN, STAGES]
POINTS = [
    ("*/pretrain/checkpoints-*/step-00000001.ckpt", 1, True),  # between two steps of the generating network
    ("*/pretrain/checkpoints-*/step-00000003.ckpt", 1, False),
    ("*/pretrain/model.safetensors", 1, False),
    ("*/finetune/checkpoints-*/step-00000001.ckpt", 1, True),
    ("*/finetune/checkpoints-*/step-00000002.ckpt", 1, False),
    ("*/finetune/checkpoints-*/step-00000003.ckpt", 1, True),
    ("*/finetune/model.safetensors", 1, False),
    ("*/release/model.safetensors", 1, True),
]


def words(path: Path, *overrides: str) -> list[str]:
    """The command that makes the tiny run `path` of a GAN."""
    return ["run", "demo", f"run.root={path.parent}", f"run.name={path.name}", *WORDS, *overrides]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with a fixed key, never interrupted."""
    plan(load("demo", WORDS))  # processes forked later inherit the result
    path = tmp_path_factory.mktemp("gan") / "whole"
    code, text = finish(words(path, FIXED), path.with_name("output"))
    assert code == 0, text
    return path


def test_a_run_releases_the_generating_network_alone(whole: Path) -> None:
    assert {entry.name for entry in (whole / "release").iterdir()} == RELEASE
    weights = load_file(whole / "release" / "model.safetensors")
    started = load_file(whole / "stages" / "pretrain" / "model.safetensors")
    assert {f"network.{name}" for name in weights} < set(started)
    assert any(name.startswith("discriminator.") for name in started)
    assert not np.array_equal(weights["linear.parametrizations.weight.original"], started[
        "network.linear.parametrizations.weight.original"
    ])  # fmt: skip


def test_the_charged_steps_are_those_of_the_discriminator(whole: Path) -> None:
    assert charges(whole) == ["semantic query", "dp-sgd"]
    assert statement(whole)["mechanisms"][1]["steps"] == 4 == published(whole)
    assert 9.9 <= statement(whole)["epsilon"] <= 10


def test_snapshots_are_of_the_generating_network(whole: Path) -> None:
    (snapshot,) = whole.glob("stages/finetune/snapshots-*/step-00000002.safetensors")
    assert load_file(snapshot).keys() == load_file(whole / "release" / "model.safetensors").keys()
    assert (whole / "internal" / "snapshots" / "step-00000002.png").is_file()


def test_killed_anywhere_a_run_ends_with_the_same_bits(whole: Path, tmp_path: Path) -> None:
    path = tmp_path / "whole"
    for pattern, count, after in POINTS:
        child = Child(words(path, FIXED), tmp_path / "output", at(pattern, die, count=count, after=after))
        assert child.wait() == -signal.SIGKILL, (pattern, child.text)
    code, text = finish(words(path, FIXED), tmp_path / "output")
    assert code == 0, text
    assert same_release(path, whole)
    assert statement(path)["epsilon"] == statement(whole)["epsilon"]
    assert charges(path) == ["semantic query", "dp-sgd"]


def test_more_images_are_drawn_from_the_release(whole: Path, tmp_path: Path) -> None:
    outputs = [tmp_path / f"{number}.npz" for number in range(2)]
    copy = shutil.copytree(whole / "release", tmp_path / "copy")  # enough by itself
    for output, given in zip(outputs, (["whole", "--root", str(whole.parent)], [str(copy)]), strict=True):
        options = ["--count", "25", "--seed", "1", "--output", str(output), "-q"]
        assert privimage("synthesize", *given, *options) == 0
    one, two = (np.load(output) for output in outputs)
    assert one["images"].shape == (25, 8, 8, 1) and np.array_equal(one["images"], two["images"])
    assert RunDirectory(whole).marker("synthesize")


@pytest.mark.parametrize(
    "changes", [["finetune.engine=opacus"], ["finetune.precision=bf16", "pretrain.precision=bf16"]]
)
def test_engine_and_precision_can_be_chosen(tmp_path: Path, whole: Path, changes: list[str]) -> None:
    path = tmp_path / "other"
    code, text = finish(words(path, FIXED, *changes, "stages=[classifier,query,select,pretrain,finetune,synthesize]"),
                        tmp_path / "output")  # fmt: skip
    assert code == 0, text
    assert published(path) == 4


def test_preflight_measures_a_gan(capsys: pytest.CaptureFixture[str]) -> None:
    assert privimage("preflight", "demo", *WORDS) == 0
    text = capsys.readouterr().out
    assert all(stage in text for stage in ("pretrain", "finetune", "synthesize"))
