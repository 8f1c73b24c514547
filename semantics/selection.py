"""Selection of public categories from the noisy semantic histogram: post-processing, at no privacy cost."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from configs.errors import UserError
from datamodules.sets.image_set import LabelledImages


def select_categories(histogram: np.ndarray, k2: int) -> list[list[int]]:
    """The k2 public categories of each row, best noisy count first, each public category given to one row only.

    All (row, category) pairs are served in the order of their noisy counts (ties: lower row, then lower category), so
    that no row is favoured by its place; the published code serves row 0 first. Takes only the noisy histogram.

    histogram: [rows, public categories]. Returns one list of k2 categories per row. Raises UserError where there are
    too few public categories. PrivImage §3.3.
    """
    rows, categories = histogram.shape
    if k2 < 1 or rows * k2 > categories:
        raise UserError(
            f"selection.semantics: {k2} public categories for each of {rows} sensitive ones need {rows * k2}, but the "
            f"public set has {categories}. Use at most {categories // rows}, or a public set with more categories."
        )
    chosen: list[list[int]] = [[] for _ in range(rows)]
    taken = np.zeros(categories, dtype=bool)
    for pair in np.argsort(-histogram, axis=None, kind="stable"):
        row, category = divmod(int(pair), categories)
        if not taken[category] and len(chosen[row]) < k2:
            chosen[row].append(category)
            taken[category] = True
    return chosen


def random_categories(rows: int, categories: int, k2: int, seed: int) -> list[list[int]]:
    """k2 public categories for each row, drawn at random and each given once: the control of the semantic query.

    Raises UserError where there are too few public categories. Touches no sensitive data.
    """
    order = np.random.default_rng(seed).permutation(categories)
    return select_categories(np.broadcast_to(-np.argsort(order), (rows, categories)), k2)


def selected_images(
    public: LabelledImages, choice: Sequence[Sequence[int]], class_names: Sequence[str]
) -> LabelledImages:
    """All public images of the chosen categories, labelled with the sensitive category they were chosen for.

    choice: as `select_categories` returns it. A single row (the unconditional query) gives every image label 0. Touches
    no sensitive data.
    """
    if len(choice) not in (1, len(class_names)):
        raise ValueError(f"{len(choice)} rows of choices for {len(class_names)} categories")
    mapping = {category: row for row, categories in enumerate(choice) for category in categories}
    kept = np.flatnonzero(np.isin(public.labels, list(mapping)))
    return public.subset(kept).relabel(mapping, tuple(class_names))


def selection_summary(
    histogram: np.ndarray,
    choice: Sequence[Sequence[int]],
    public_names: Sequence[str],
    sensitive_names: Sequence[str],
    *,
    exact: bool = False,
) -> dict[str, list[dict[str, str | int]]]:
    """The chosen public categories by sensitive category: `category` (name), `label` and `noisy_count` of each.

    Computed from the histogram alone, so that it may be shown where that is noisy. exact: it has no noise, so that the
    counts are `exact_count` and NOT private. A single row is named "all".
    """
    count = "exact_count" if exact else "noisy_count"
    names = sensitive_names if len(choice) == len(sensitive_names) else ["all"]
    return {
        name: [
            {"category": public_names[label], "label": label, count: int(histogram[row, label])} for label in categories
        ]
        for row, (name, categories) in enumerate(zip(names, choice, strict=True))
    }
