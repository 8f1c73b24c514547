"""Scores from features: which features each number uses, and what is left out if something is missing."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from configs.loading import load
from datamodules.sets.image_set import ImageSet
from datamodules.sets.sensitive import SensitiveImages
from evaluation.fid import FID, frechet_distance
from evaluation.inception_scores import InceptionScores
from evaluation.precision_recall import precision_recall
from launch.processes.ranks import Ranks
from launch.stages.scores import features as module
from launch.stages.scores.features import CLASSIFIER_FEATURES, INCEPTION_FEATURES, feature_scores


def images(count: int, seed: int) -> ImageSet:
    pixels = np.random.default_rng(seed).integers(0, 256, (count, 1, 2, 2), dtype=np.uint8)
    return ImageSet(pixels, np.zeros(count, np.int64), ("a",))


def flat(part: ImageSet) -> np.ndarray:
    return part.images.reshape(len(part), -1).astype(np.float64)


CONFIG = load("demo", ["evaluate.neighbours=2"])


def context(weights: Path | None = None, reason: str = "evaluate.inception_weights") -> Any:
    setup = SimpleNamespace(inception=(weights, reason))
    return SimpleNamespace(config=CONFIG, setup=setup, device="cpu", ranks=Ranks())


SETS = {"ours": images(20, 0), "on the way": images(15, 1), "control": images(20, 2), "tiny": images(2, 3)}
TEST = images(30, 4)


def test_without_inception_all_is_the_classifiers() -> None:
    found = feature_scores(context(), flat, SETS, ["ours", "on the way"], SensitiveImages(TEST))
    assert found.precision_features == CLASSIFIER_FEATURES
    assert "evaluate.inception_weights" in found.fid_reason
    for name in ("ours", "on the way", "control"):
        precision, recall = precision_recall(flat(SETS[name]), flat(TEST), 2)
        distance = frechet_distance(flat(SETS[name]), flat(TEST))
        assert found.rows[name] == {"frechet": distance, "precision": precision, "recall": recall}
    assert found.rows["tiny"].keys() == {"frechet"}  # too few for two neighbours


def test_without_a_classifier_nothing_is_left() -> None:
    assert feature_scores(context(), None, SETS, ["ours"], SensitiveImages(TEST)).rows == {name: {} for name in SETS}


@pytest.mark.parametrize("extract", [flat, None])
def test_with_inception_no_column_mixes_features(extract: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def scores(sets: list[ImageSet], real: ImageSet, weights: Path, **settings: Any) -> list[InceptionScores]:
        assert real is TEST and weights == Path("weights") and settings["neighbours"] == 2
        fids = [FID(None, "too few"), FID(7.0, "")]
        return [
            InceptionScores(fid=value, precision=0.5, recall=0.25, inception_score=float(len(part)))
            for value, part in zip(fids, sets, strict=True)
        ]

    monkeypatch.setattr(module, "inception_scores", scores)
    found = feature_scores(context(Path("weights"), ""), extract, SETS, ["ours", "on the way"], SensitiveImages(TEST))
    assert (found.precision_features, found.fid_reason) == (INCEPTION_FEATURES, "too few")
    classifiers = {"frechet"} if extract else set()
    for name, value in (("ours", None), ("on the way", 7.0)):
        rest = {"fid": value, "precision": 0.5, "recall": 0.25, "inception_score": float(len(SETS[name]))}
        assert {key: score for key, score in found.rows[name].items() if key != "frechet"} == rest
        assert found.rows[name].keys() - rest.keys() == classifiers
    assert found.rows["control"].keys() == classifiers
