"""Selection of public categories from the noisy semantic histogram: post-processing, without privacy cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs.errors import UserError
from datamodules.sets.image_set import LabelledImages


def select_categories(histogram: NDArray[Any], k2: int) -> list[list[int]]:
    """The k2 public categories of each row, best noisy count first; each public category goes to one row only.

    All (row, category) pairs are handled in the order of their noisy counts (ties: lower row, then lower category).
    So no row has an advantage by its position; the published code handles row 0 first.

    Args:
        histogram: noisy counts [rows, public categories].
        k2: public categories per row, >= 1.

    Returns:
        For each row a list of k2 categories.

    Raises:
        UserError: if there are too few public categories.

    Source: PrivImage §3.3.

    Sensitive: takes only the noisy histogram; the result is as private as it is.
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
    """k2 public categories for each row, drawn at random, each used once: the control of the semantic query.

    Touches no sensitive data.

    Args:
        rows: number of rows, >= 1.
        categories: number of public categories.
        k2: public categories per row, >= 1.
        seed: of the draw, >= 0.

    Raises:
        UserError: if there are too few public categories.
    """
    order = np.random.default_rng(seed).permutation(categories)
    return select_categories(np.broadcast_to(-np.argsort(order), (rows, categories)), k2)


def selected_images(
    public: LabelledImages, choice: Sequence[Sequence[int]], class_names: Sequence[str]
) -> LabelledImages:
    """All public images of the chosen categories, labelled with the sensitive category they were chosen for.

    Touches no sensitive data.

    Args:
        public: the public images.
        choice: as `select_categories` returns it; a single row (the unconditional query) gives every image label 0.
        class_names: names of the sensitive categories.

    Raises:
        ValueError: if `choice` has neither one row nor one row per sensitive category.
    """
    if len(choice) not in (1, len(class_names)):
        raise ValueError(f"{len(choice)} rows of choices for {len(class_names)} categories")
    mapping = {category: row for row, categories in enumerate(choice) for category in categories}
    kept = np.flatnonzero(np.isin(public.labels, list(mapping)))
    return public.subset(kept).relabel(mapping, tuple(class_names))


def selection_summary(
    histogram: NDArray[Any],
    choice: Sequence[Sequence[int]],
    public_names: Sequence[str],
    sensitive_names: Sequence[str],
    *,
    exact: bool = False,
) -> dict[str, list[dict[str, str | int]]]:
    """The chosen public categories of each sensitive category.

    Args:
        histogram: counts [rows, public categories].
        choice: as `select_categories` returns it.
        public_names: names of the public categories.
        sensitive_names: names of the sensitive categories.
        exact: whether the histogram has no noise; the run is NOT PRIVATE then.

    Returns:
        By sensitive category ("all" for a single row), a dict for each chosen category: `category` (name), `label`,
        and `noisy_count` (`exact_count` if `exact`).

    Sensitive: computed from the histogram and names only, so it may be shown if the histogram is noisy.
    """
    count = "exact_count" if exact else "noisy_count"
    names = sensitive_names if len(choice) == len(sensitive_names) else ["all"]
    return {
        name: [
            {"category": public_names[label], "label": label, count: int(histogram[row, label])} for label in categories
        ]
        for row, (name, categories) in enumerate(zip(names, choice, strict=True))
    }
