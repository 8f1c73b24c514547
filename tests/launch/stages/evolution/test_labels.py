"""Images of Private Evolution with labels from votes or from a teacher."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from accounting.ledger import Ledger
from configs.loading import load
from launch.run.release import read_images
from lightning_modules.registries import LEARNERS
from lightning_modules.weights import load_weights
from tests.launch.runs import (
    charges,
    draw_shapes,
    privimage,
    run_words,
    statement,
)

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def test_labels_by_votes_follow_from_the_votes_alone(tmp_path: Path) -> None:
    """After the votes, the release depends neither on the sensitive images nor on the key."""
    settings = ["method=sim_pe_voted", "evolution.share_at_random=0.4", "evolution.smooth=5"]
    path, again = tmp_path / "run", tmp_path / "again"
    assert privimage(*run_words(path, *settings)) == 0
    assert charges(path) == ["private evolution"]
    line = json.loads((path / "stages" / "synthesize" / "done.json").read_text())["line"]
    assert line.startswith("60 of 180 images in ")
    first = read_images(path / "release" / "synthetic.npz")
    assert len(first) == 60
    with np.load(path / "stages" / "evolve" / "outcome.npz") as data:
        assert data["votes"].shape == (10, 60)  # of each category, for every candidate
        assert len(np.unique(data["shares"])) > 2
    assert privimage(*run_words(again, *settings, f"evolution.reuse={path}")) == 0
    second = read_images(again / "release" / "synthetic.npz")
    assert np.array_equal(first.images, second.images) and np.array_equal(first.labels, second.labels)
    assert statement(again)["epsilon"] == pytest.approx(statement(path)["epsilon"])


def test_votes_label_what_a_model_makes_and_one_category_has_nothing_to_tell_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stages = "stages=[classifier,select_all,pretrain,evolve,publish_voted]"
    words = ["method=sim_pe_voted", stages, "generator.name=diffusion", "evolution.api.name=model"]
    path = tmp_path / "model"
    assert privimage(*run_words(path, *words, "evolution.share_at_random=0", "evolution.smooth=5")) == 0
    assert len(read_images(path / "release" / "synthetic.npz")) == 60
    draw_shapes(tmp_path / "shapes", 0, 20)
    shutil.rmtree(tmp_path / "shapes" / "bars")
    one = ["sensitive.name=folder", f"sensitive.root={tmp_path / 'shapes'}", "method=sim_pe_voted"]
    assert privimage(*run_words(tmp_path / "one", *one)) == 2
    assert "votes have nothing to decide" in capsys.readouterr().err


def test_a_teachers_labels_are_what_it_says_after_its_private_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run"
    words = [word for word in run_words(path, "method=sim_pe_taught") if not word.startswith("generator.")]
    settings = ["evolution.degree_rendered=1.0", "evolution.budget_share=0.3", "evolution.share_at_random=0.4"]
    assert privimage(*words, *settings) == 0
    said = capsys.readouterr()
    assert "60 images in" in said.err and "24 of them out-of-class" in said.err
    assert charges(path) == ["private evolution", "dp-sgd"]
    released, ledger = read_images(path / "release" / "synthetic.npz"), Ledger.read(path / "ledger.jsonl")
    assert statement(path)["epsilon"] == pytest.approx(ledger.epsilon()) and 9.9 < ledger.epsilon() <= 10
    config = load(str(path / "config.yaml"))
    teacher = LEARNERS.build(config.generator, image=config.image, classes=10)
    load_weights(teacher.released, path / "stages" / "finetune" / "model.safetensors")
    assert np.array_equal(teacher.probabilities(torch.from_numpy(released.images)).argmax(1).numpy(), released.labels)
