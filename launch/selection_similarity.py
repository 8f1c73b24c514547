"""The report's semantic distribution similarities: of the selection, of other sizes, of the whole public set."""

from __future__ import annotations

import numpy as np

from evaluation.report import Similarities, SimilarityRow
from launch.context import Context
from semantics.selection_similarity import SIZES, Embedded, SizedSimilarity, similarities_by_size
from semantics.similarity import load_word_vectors


def similarities(context: Context, histogram: np.ndarray | None) -> Similarities | None:
    """SDS (PrivImage Eq. 5), from the noisy histogram that the query left and public labels alone: it may be shown.

    histogram: [rows, public categories]; None for a run without a query, which has no similarities. Nothing is charged.
    """
    if histogram is None:
        return None
    embedded, words = embedding(context)
    own = context.config.selection.semantics or context.config.query.semantics
    counts = np.bincount(context.public.labels, minlength=len(context.public.class_names))
    found = similarities_by_size(histogram, counts, embedded, {*SIZES, own})
    each = "a category" if len(histogram) > 1 else "in all"
    rows = [SimilarityRow(name(row, own, each), row.categories, row.share, row.similarity) for row in found]
    return Similarities(next(row.similarity for row in found if row.semantics == own), rows, words)


def name(row: SizedSimilarity, own: int, each: str) -> str:
    """A selection in words; each: what its size counts by."""
    if not row.semantics:
        return "the whole public set"
    return f"{row.semantics} {each}" + (" (this run)" if row.semantics == own else "")


def embedding(context: Context) -> tuple[Embedded, str]:
    """Vectors of the public categories, and the words for them: GloVe's where given, else the classifier's."""
    names, path = context.public_source.class_names, context.config.evaluate.word_vectors
    if path is None:
        vectors = context.trained_classifier().class_embeddings.double().numpy()
        return Embedded(vectors, np.arange(len(names))), "the classifier's class embeddings"
    words = load_word_vectors(path, names)
    known = [label for label, name in enumerate(names) if name in words.vectors]
    left_out = f", {len(words.missing)} categories without a vector left out" if words.missing else ""
    vectors = np.stack([words.vectors[names[label]] for label in known])
    return Embedded(vectors, np.array(known)), f"word vectors{left_out}"
