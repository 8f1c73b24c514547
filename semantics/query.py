"""The semantic query: which public categories the sensitive images resemble, asked under differential privacy."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from accounting.access import PrivateAccess
from accounting.mechanisms import GaussianQuery
from configs.errors import UserError
from datamodules.image_set import ImageSet

BATCH = 256
Share = Callable[[Sequence[Any]], Iterable[tuple[int, Any]]]
"""Pieces of work, some of them with their numbers."""


class SemanticQuery(Protocol):
    """Names the semantics of an image: a classifier's best categories, or what a captioner sees.

    semantics: number of categories there are, known before any sensitive image is seen.
    """

    @property
    def semantics(self) -> int: ...

    def topk(self, images: Tensor, k: int) -> Tensor:
        """The k distinct categories most like each image, best first.

        images: uint8 [B, C, H, W]. Returns int64 [B, k] in 0..semantics-1. What it says of an image may depend on that
        image alone (no statistics of the batch), and it was trained on public images only.
        """
        ...


def noisy_semantic_histogram(
    query: SemanticQuery,
    images: ImageSet,
    access: PrivateAccess,
    *,
    semantics_per_image: int,
    per_category: bool,
    share: Share = enumerate,
    over_ranks: Callable[[np.ndarray], np.ndarray] = lambda counts: counts,
) -> np.ndarray:
    """Noisy histogram of the semantics of the sensitive images (PrivImage §3.3, Theorem 3.1). SENSITIVE.

    Every image adds 1 to its `semantics_per_image` (k1) best bins in the row of its category, so adding or removing one
    record moves the histogram by sqrt(k1) in L2. Every bin, empty or not, gets noise of std sigma_1 * sqrt(k1) from
    `access`; the raw counts leave this function with it only.

    The released value is the integer count plus the noise rounded to an integer. That equals rounding (count + noise),
    because an integer shift commutes with rounding: it is post-processing of the continuous Gaussian mechanism, and
    since every release lies on the integer grid whatever the count, the gaps between floating-point numbers cannot
    betray it (Mironov 2012).

    Of several processes each counts those batches that `share` gives it, and gets the same histogram; `over_ranks` adds
    up their raw counts, before the noise, over a network that must be trusted.

    Returns int64 [rows, semantics] with one row per category, or a single row without `per_category`. Raises UserError
    where the query function answers in another form than [B, k1] int64, ValueError where the mechanism that was paid
    for is not this one.
    """
    _check_mechanism(access, semantics_per_image)
    counts = semantic_histogram(
        query,
        images,
        semantics_per_image=semantics_per_image,
        per_category=per_category,
        share=share,
        over_ranks=over_ranks,
    )
    return counts + access.whole_noise(step=0, count=counts.size).reshape(counts.shape)


def semantic_histogram(
    query: SemanticQuery,
    images: ImageSet,
    *,
    semantics_per_image: int,
    per_category: bool,
    share: Share = enumerate,
    over_ranks: Callable[[np.ndarray], np.ndarray] = lambda counts: counts,
) -> np.ndarray:
    """The same histogram without noise, which a run may keep only if it promises nothing. SENSITIVE, NOT private."""
    rows = len(images.class_names) if per_category else 1
    return over_ranks(_count_semantics(query, images, semantics_per_image, rows, share))


def _check_mechanism(access: PrivateAccess, k: int) -> None:
    mechanism = access.mechanism
    if not isinstance(mechanism, GaussianQuery):
        raise ValueError(f"the semantic query needs a GaussianQuery, not a {type(mechanism).__name__}")
    if not math.isclose(mechanism.sensitivity, math.sqrt(k), rel_tol=1e-12):
        raise ValueError(
            f"the mechanism's sensitivity is {mechanism.sensitivity:g}, but {k} semantics an image have "
            f"sensitivity sqrt({k}) = {math.sqrt(k):g}"
        )


def _count_semantics(query: SemanticQuery, images: ImageSet, k: int, rows: int, share: Share) -> np.ndarray:
    """Raw counts of this process' batches, int64 [rows, semantics]. SENSITIVE: never kept or shown without noise.

    Every batch has the same size (the last one is padded with black images, not counted), so that the arithmetic of one
    image does not change with the number of the others.
    """
    semantics = query.semantics
    if not 1 <= k <= semantics:
        raise UserError(f"query.semantics: {k} is out of range; the query function knows {semantics} semantics.")
    counts = np.zeros((rows, semantics), dtype=np.int64)
    for _, start in share(range(0, len(images), BATCH)):
        here = slice(start, min(start + BATCH, len(images)))
        size = here.stop - here.start
        batch = np.zeros((BATCH, *images.images.shape[1:]), dtype=np.uint8)
        batch[:size] = images.images[here]
        votes = _votes(query.topk(torch.from_numpy(batch), k), BATCH, k, semantics)[:size]
        row = images.labels[here] if rows > 1 else np.zeros(size, dtype=np.int64)
        np.add.at(counts, row, votes)
    return counts


def _votes(answer: Tensor, batch: int, k: int, semantics: int) -> np.ndarray:
    """What each image adds to its row, int64 [B, semantics] of zeros and at most k ones.

    A faulty query function must not raise the sensitivity: a bin named twice by one image counts once, a bin that does
    not exist not at all. Raises UserError on a wrong shape or type, without showing the values.
    """
    if not isinstance(answer, Tensor) or answer.dtype != torch.int64 or answer.shape != (batch, k):
        got = f"{answer.dtype} {list(answer.shape)}" if isinstance(answer, Tensor) else type(answer).__name__
        raise UserError(
            f"the semantic query function answered with {got} instead of int64 [{batch}, {k}]. Correct its `topk`; "
            "nothing was released."
        )
    bins = answer.cpu().numpy()
    votes = np.zeros((batch, semantics + 1), dtype=np.int64)
    votes[np.arange(batch)[:, None], np.where((bins >= 0) & (bins < semantics), bins, semantics)] = 1
    return votes[:, :semantics]
