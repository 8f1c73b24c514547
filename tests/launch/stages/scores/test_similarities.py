"""The report's similarities: from the noisy histogram and public labels, in words that a page can show."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from configs.loading import load
from datamodules.sources.source import Semantics
from launch.run.guarantee import Guarantee
from launch.stages.scores.similarities import similarities

NAMES = tuple(f"thing{label}" for label in range(7))
HISTOGRAM = np.random.default_rng(0).integers(0, 50, (2, 7))


def context(*words: str, source: Any = None) -> Any:
    config = load("demo", words)
    return SimpleNamespace(
        config=config,
        guarantee=Guarantee.of(config),
        public=SimpleNamespace(labels=np.arange(21) % 7, class_names=NAMES),
        public_source=SimpleNamespace(class_names=NAMES),
        sensitive_source=source,
        trained_classifier=lambda: SimpleNamespace(class_embeddings=torch.eye(7)),
    )  # whoever asks it for sensitive images fails


def test_other_sizes_this_runs_own_and_the_whole_set() -> None:
    found = similarities(context("query.semantics=3"), HISTOGRAM)
    assert found is not None and found.embedding == "the classifier's class embeddings" and found.private
    assert [row.name for row in found.rows] == [
        "1 a category", "2 a category", "3 a category (this run)", "the whole public set"
    ]  # fmt: skip
    assert [row.categories for row in found.rows] == [2, 4, 6, 7]
    assert found.own == found.rows[2].similarity
    # with orthogonal embeddings and as many images of each category, SDS is the mean frequency of what is selected
    frequencies = HISTOGRAM.sum(axis=0) / HISTOGRAM.sum()
    assert found.rows[-1].similarity == pytest.approx(1 / 7)
    best = {int(HISTOGRAM[0].argmax()), int(HISTOGRAM[1].argmax())}
    assert len(best) == 2 and found.rows[0].similarity == pytest.approx(frequencies[list(best)].mean())


def test_a_query_of_all_categories_at_once() -> None:
    found = similarities(context("query.semantics=2"), HISTOGRAM[:1])
    assert found is not None
    assert [row.name for row in found.rows] == [
        "1 in all", "2 in all (this run)", "5 in all", "the whole public set"
    ]  # fmt: skip


def test_word_vectors(tmp_path: Path) -> None:
    glove = tmp_path / "glove.txt"
    glove.write_text("".join(f"{name} {label} 1\n" for label, name in enumerate(NAMES[:-1])))
    found = similarities(context(f"evaluate.word_vectors={glove}"), HISTOGRAM)
    assert found is not None and found.embedding == "word vectors, 1 without a vector left out"


def test_no_query_no_similarities() -> None:
    assert similarities(context(), None) is None


class Faces:
    """A source that knows attributes of its images."""

    def semantics(self) -> Semantics:
        return Semantics(("thing0", "beard", "Male"), np.array([4.0, 1.0, 5.0]))


def test_attributes_stand_for_the_sensitive_set_where_the_source_has_them(tmp_path: Path) -> None:
    glove = tmp_path / "glove.txt"
    random = np.random.default_rng(1)
    vectors = {name: random.normal(size=3) for name in (*NAMES, "beard")}
    glove.write_text("".join(f"{name} {' '.join(map(str, vector))}\n" for name, vector in vectors.items()))
    found = similarities(context(f"evaluate.word_vectors={glove}", source=Faces()), HISTOGRAM)
    assert found is not None
    assert found.embedding == "word vectors of the 3 attributes of digits, 1 without a vector left out"
    assert not found.private
    pairs = [
        (weight, np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b))
        for weight, a in ((4.0, vectors["thing0"]), (1.0, vectors["beard"]))
        for b in (vectors[name] for name in NAMES)
    ]
    expected = sum(weight * cosine for weight, cosine in pairs) / sum(weight for weight, _ in pairs)
    assert found.rows[-1].similarity == pytest.approx(expected)


@pytest.mark.parametrize("known", [["beard"], ["thing1"]])
def test_there_is_none_where_one_set_has_no_vector(tmp_path: Path, known: list[str]) -> None:
    glove = tmp_path / "glove.txt"
    glove.write_text("".join(f"{name} 1 0\n" for name in known))
    found = similarities(context(f"evaluate.word_vectors={glove}", source=Faces()), HISTOGRAM)
    assert found is not None and found.rows[-1].similarity is None
