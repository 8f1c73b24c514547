"""Semantic distribution similarity (SDS) of two image sets, with word vectors or other embeddings."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from configs.errors import UserError


class WordVectors(NamedTuple):
    """Word vectors of category names."""

    vectors: dict[str, NDArray[np.float64]]
    """By name, float64 [D]; for every name of which a word was found."""
    missing: tuple[str, ...]
    """The names of which no word was found."""


def semantic_distribution_similarity(
    frequencies_a: NDArray[Any], embeddings_a: NDArray[Any], frequencies_b: NDArray[Any], embeddings_b: NDArray[Any]
) -> float:
    """SDS: the mean cosine similarity over all pairs of semantics, weighted by both frequencies.

    Args:
        frequencies_a: [A], >= 0, of any scale, not all zero.
        embeddings_a: [A, D], no zero vectors.
        frequencies_b: [B], like `frequencies_a`.
        embeddings_b: [B, D], no zero vectors.

    Returns:
        A value in [-1, 1]; higher is more similar.

    Raises:
        ValueError: if shapes do not match or a value is out of range.

    Source: PrivImage Eq. 5.

    Sensitive: if `frequencies_a` or `frequencies_b` are counts of sensitive images without noise, the value is not
    private and stays internal. If they come from the noisy histogram by `noisy_frequencies`, it is post-processing and
    may be shown.
    """
    mean_a = _mean_direction(np.asarray(frequencies_a, np.float64), np.asarray(embeddings_a, np.float64))
    mean_b = _mean_direction(np.asarray(frequencies_b, np.float64), np.asarray(embeddings_b, np.float64))
    return float(mean_a @ mean_b)  # the double sum of f_a f_b cos(a, b) factorises


def _mean_direction(frequencies: NDArray[np.float64], embeddings: NDArray[np.float64]) -> NDArray[np.float64]:
    if frequencies.shape != embeddings.shape[:1] or embeddings.ndim != 2:
        raise ValueError(f"{frequencies.shape} frequencies for {embeddings.shape} embeddings")
    if not (np.isfinite(frequencies).all() and (frequencies >= 0).all() and frequencies.sum() > 0):
        raise ValueError("frequencies must be finite, not negative, and not all zero")
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    if not (np.isfinite(lengths).all() and (lengths > 0).all()):
        raise ValueError("an embedding is zero or not finite: its direction is undefined")
    mean: NDArray[np.float64] = frequencies / frequencies.sum() @ (embeddings / lengths)
    return mean


def noisy_frequencies(noisy_counts: NDArray[Any]) -> NDArray[np.float64]:
    """Frequencies from noisy counts, with sum 1; negative counts count as zero; uniform if no count is positive."""
    clipped = np.maximum(np.asarray(noisy_counts, np.float64), 0)
    return clipped / clipped.sum() if clipped.sum() > 0 else np.full(clipped.shape, 1 / clipped.size)


def load_word_vectors(path: str | Path, names: Sequence[str]) -> WordVectors:
    """GloVe vectors of category names; a name of several words gets the mean of the words that are found.

    Names are split at every character that is not a letter or digit, and lowercased, as GloVe's vocabulary is. Only the
    words that are needed are kept in memory. Touches no images.

    Args:
        path: GloVe text file: on each line a word and its numbers.
        names: of categories.

    Raises:
        UserError: if the file is missing or malformed, or has a vector for no name.
    """
    words = {name: re.findall(r"[^\W_]+", name.lower()) for name in names}
    found = _read_vectors(Path(path), {word for parts in words.values() for word in parts})
    vectors = {}
    for name, parts in words.items():
        known = [found[word] for word in parts if word in found]
        if known:
            vectors[name] = np.mean(known, axis=0)
    if not vectors:
        raise UserError(
            f"evaluate.word_vectors: '{path}' has no vector for any of the {len(words)} category names. Give another "
            "GloVe file, or leave the key out to use the classifier's own embeddings."
        )
    return WordVectors(vectors, tuple(name for name in words if name not in vectors))


def _read_vectors(path: Path, needed: set[str]) -> dict[str, NDArray[np.float64]]:
    found: dict[str, NDArray[np.float64]] = {}
    if not path.is_file():
        raise UserError(f"evaluate.word_vectors: no file at '{path}'. Give a GloVe text file, or leave the key out.")
    with path.open(encoding="utf-8", errors="replace") as lines:
        size = 0
        for number, line in enumerate(lines, start=1):
            size = size or len(line.split()) - 1
            if line.partition(" ")[0] not in needed:  # cheap: most lines of the file end here
                continue
            word, *values = line.rstrip().rsplit(" ", size)
            if word not in needed:  # some GloVe entries have spaces inside the word
                continue
            try:
                vector = np.array(values, dtype=np.float64)
            except ValueError:
                vector = np.empty(0)
            if vector.size != size or not np.isfinite(vector).all():
                raise UserError(
                    f"evaluate.word_vectors: line {number} of '{path}' is not a word and {size} numbers. Give a GloVe "
                    "text file."
                )
            found.setdefault(word, vector)
    return found
