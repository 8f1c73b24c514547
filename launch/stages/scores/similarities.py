"""The report's semantic distribution similarities: of the selection, of other sizes, and of the whole public set."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from datamodules.sources.source import Described
from evaluation.scores import Similarities, SimilarityRow
from launch.run.context import Context
from semantics.selection_similarity import SIZES, Embedded, SizedSimilarity, similarities_by_size
from semantics.similarity import WordVectors, load_word_vectors


def similarities(context: Context, histogram: np.ndarray | None) -> Similarities | None:
    """Semantic distribution similarity (SDS) to the sensitive set, as the query's noisy histogram describes it.

    Post-processing, without a charge. With word vectors, a source that knows the semantics of its images (CelebA has 40
    attributes) is compared by those instead, which is not private.

    Args:
        histogram: the query's, int64 [rows, public categories]; None for a run without a query.

    Returns:
        The similarities; None without a query.

    Source: PrivImage, Equation 5.
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
    """A selection in words.

    Args:
        own: number of public categories that this run selects.
        each: what the number refers to, "a category" or "in all".
    """
    if not row.semantics:
        return "the whole public set"
    return f"{row.semantics} {each}" + (" (this run)" if row.semantics == own else "")


def embedding(context: Context) -> tuple[Embedded, tuple[np.ndarray, np.ndarray] | None, str]:
    """Vectors of the semantics: GloVe's if they are given, otherwise the classifier's, for public categories only.

    Returns:
        Vectors of the public categories; frequencies [K] and vectors [K, D] of the semantics that the sensitive source
        knows, or None; and a description of the vectors.
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
    """Indices of the names that have a vector, int64 [K], and the vectors [K, D]."""
    places = [place for place, name in enumerate(names) if name in words.vectors]
    return np.array(places, dtype=np.int64), np.array([words.vectors[names[place]] for place in places])
