"""What the report's semantic distribution similarity is taken of."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from datamodules.sources.source import Semantics
from launch.stages import report
from launch.stages.report import selection_similarity

PUBLIC = ("wig", "sunglasses", "crane")
HISTOGRAM, SELECTED = np.array([[5, -2, 1], [1, 9, 0]]), np.array([0.0, 7.0, 3.0])
WORDS = {
    "wig": [1.0, 0.2],
    "sunglasses": [0.1, 1.0],
    "crane": [-1.0, 0.3],
    "eyeglasses": [0.2, 1.1],
    "bald": [0.9, -0.1],
}


class Faces:
    """A source that knows attributes."""

    def semantics(self) -> Semantics:
        return Semantics(("Eyeglasses", "Bald", "Male"), np.array([4.0, 1.0, 5.0]))


@pytest.fixture(autouse=True)
def answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "read_histogram", lambda context: HISTOGRAM)
    monkeypatch.setattr(report, "selected_frequencies", lambda context: SELECTED)


def context(source: Any, vectors: Path | None, known: dict[str, list[float]] = WORDS) -> Any:
    if vectors is not None:
        vectors.write_text("".join(f"{word} {' '.join(map(str, numbers))}\n" for word, numbers in known.items()))
    embeddings = np.random.default_rng(0).normal(size=(3, 4))
    classifier = SimpleNamespace(class_embeddings=SimpleNamespace(numpy=lambda: embeddings))
    config = SimpleNamespace(evaluate=SimpleNamespace(word_vectors=vectors), sensitive=SimpleNamespace(name="faces"))
    return SimpleNamespace(
        config=config,
        public_source=SimpleNamespace(class_names=PUBLIC),
        sensitive_source=source,
        trained_classifier=lambda: classifier,
    )


def pair_by_pair(one: dict[str, float], other: dict[str, float], vectors: dict[str, Any]) -> float:
    def cosine(a: Any, b: Any) -> float:
        return float(np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b))

    pairs = [(f * g, cosine(vectors[a], vectors[b])) for a, f in one.items() for b, g in other.items()]
    return sum(weight * value for weight, value in pairs) / sum(weight for weight, _ in pairs)


def test_attributes_stand_for_the_sensitive_set_where_the_source_has_them(tmp_path: Path) -> None:
    value, embedding = selection_similarity(context(Faces(), tmp_path / "glove.txt"))
    known = {name.capitalize(): vector for name, vector in WORDS.items()} | WORDS
    expected = pair_by_pair({"Eyeglasses": 4, "Bald": 1}, {"sunglasses": 7, "crane": 3}, known)
    assert value == pytest.approx(expected)
    assert embedding == "word vectors of the 3 attributes of faces, 1 without a vector left out"


def test_other_sets_are_described_by_the_noisy_histogram(tmp_path: Path) -> None:
    value, embedding = selection_similarity(context(object(), tmp_path / "glove.txt"))
    assert embedding == "word vectors"
    expected = pair_by_pair({"wig": 6, "sunglasses": 7, "crane": 1}, {"sunglasses": 7, "crane": 3}, WORDS)
    assert value == pytest.approx(expected)


@pytest.mark.parametrize("source", [Faces(), object()])
def test_without_word_vectors_the_classifier_embeds_the_noisy_histogram(source: Any) -> None:
    """It knows no attributes."""
    asked = context(source, None)
    value, embedding = selection_similarity(asked)
    vectors = dict(zip(PUBLIC, asked.trained_classifier().class_embeddings.numpy(), strict=True))
    expected = pair_by_pair({"wig": 6, "sunglasses": 7, "crane": 1}, {"sunglasses": 7, "crane": 3}, vectors)
    assert (value, embedding) == (pytest.approx(expected), "the classifier's class embeddings")


@pytest.mark.parametrize("known", [["wig", "bald"], ["sunglasses", "crane"]])
def test_there_is_none_where_one_set_has_no_vector(tmp_path: Path, known: list[str]) -> None:
    words = {name: WORDS[name] for name in known}
    assert selection_similarity(context(Faces(), tmp_path / "glove.txt", words))[0] is None
