"""The report's semantic distribution similarities: of the selection, of other sizes, of the whole public set."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from datamodules.sources.source import Described
from evaluation.report import Similarities, SimilarityRow
from launch.run.context import Context
from semantics.selection_similarity import SIZES, Embedded, SizedSimilarity, similarities_by_size
from semantics.similarity import WordVectors, load_word_vectors


def similarities(context: Context, histogram: np.ndarray | None) -> Similarities | None:
    """SDS (PrivImage Eq. 5) to the sensitive set, as the query's noisy histogram shows it or as it is known.

    histogram: [rows, public categories]; None for a run without a query, which has no similarities. With word vectors,
    a source that knows its images' semantics (CelebA: 40 attributes) stands for itself, NOT private. Free of charge.
    """
    if histogram is None:
        return None
    embedded, described, words = embedding(context)
    own = context.config.selection.semantics or context.config.query.semantics
    counts = np.bincount(context.public.labels, minlength=len(context.public.class_names))
    found = similarities_by_size(histogram, counts, embedded, {*SIZES, own}, described)
    each = "a category" if len(histogram) > 1 else "in all"
    rows = [SimilarityRow(name(row, own, each), row.categories, row.share, row.similarity) for row in found]
    private = described is None and context.guarantee.private
    return Similarities(next(row.similarity for row in found if row.semantics == own), rows, words, private)


def name(row: SizedSimilarity, own: int, each: str) -> str:
    """A selection in words; each: what its size counts by."""
    if not row.semantics:
        return "the whole public set"
    return f"{row.semantics} {each}" + (" (this run)" if row.semantics == own else "")


def embedding(context: Context) -> tuple[Embedded, tuple[np.ndarray, np.ndarray] | None, str]:
    """Vectors of the public categories, frequencies and vectors of what the source knows of its images, and the words.

    GloVe's vectors where they are given, else the classifier's, which know public categories alone.
    """
    names, path = context.public_source.class_names, context.config.evaluate.word_vectors
    if path is None:
        vectors = context.trained_classifier().class_embeddings.double().numpy()
        return Embedded(vectors, np.arange(len(names))), None, "the classifier's class embeddings"
    source, text = context.sensitive_source, "word vectors"
    known = source.semantics() if isinstance(source, Described) else None
    if known is not None:
        text += f" of the {len(known.names)} attributes of {context.config.sensitive.name}"
    words = load_word_vectors(path, list(dict.fromkeys([*(known.names if known else ()), *names])))
    if words.missing:
        text += f", {len(words.missing)} without a vector left out"
    public = Embedded(*with_vectors(names, words)[::-1])
    if known is None:
        return public, None, text
    places, vectors = with_vectors(known.names, words)
    return public, (known.frequencies[places], vectors), text


def with_vectors(names: Sequence[str], words: WordVectors) -> tuple[np.ndarray, np.ndarray]:
    """Which of the names have a vector, int64 [K], and the vectors [K, D]."""
    places = [place for place, name in enumerate(names) if name in words.vectors]
    return np.array(places, dtype=np.int64), np.array([words.vectors[names[place]] for place in places])
