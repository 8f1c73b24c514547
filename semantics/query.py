"""The semantic query: which public categories the sensitive images resemble, asked under differential privacy."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from accounting.access import PrivateAccess
from accounting.digest import digest
from accounting.mechanisms import GaussianQuery
from configs.errors import UserError
from datamodules.sets.image_set import ImageSet
from lightning_modules.by_image import BATCH, by_image, check_places, made_up

TRIED = 3  # made-up images that are put in every place of a batch
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


@runtime_checkable
class Scored(Protocol):
    """A query function that can tell what its answers go by."""

    def scores(self, images: Tensor) -> Tensor:
        """What the categories of each image are put in order by, [B, …] on the CPU: `topk` is a function of them."""
        ...


class CheckedQuery:
    """A query function as it is asked: k categories of each image, whatever its place in a batch and its neighbours.

    shape: (C, H, W) of an image. The function is tried out on made-up images, so this is built before the charge.
    Raises UserError for a function that answers in another form than [B, k] int64, a k that is out of range, and
    answers that change with an image's place in its batch. Of a function with `scores` these are compared too, to the
    last bit: two categories may be next to equal in a sensitive image that are not in any image that was made up.

    fingerprint: a hash of its answers to those images. Processes that share out the sensitive ones must have the same.
    """

    def __init__(self, query: SemanticQuery, k: int, shape: tuple[int, int, int]) -> None:
        if not 1 <= k <= query.semantics:
            raise UserError(
                f"query.semantics: {k} is out of range; the query function knows {query.semantics} semantics."
            )
        self.query = query
        self.k = k
        self.semantics = query.semantics
        tried = made_up(TRIED, shape)
        subject, instead = "query: the categories that the query function names", "another query function"
        answers = [check_places(self._ask, tried, subject=subject, instead=instead)]
        if isinstance(query, Scored):
            subject = "query: the query function's scores"
            answers.append(check_places(query.scores, tried, subject=subject, instead=instead))
        self.fingerprint = digest(answer.numpy() for answer in answers)

    def votes(self, images: np.ndarray) -> np.ndarray:
        """What each image [N, C, H, W] adds to its row, int64 [N, semantics]: at most k ones. As sensitive as these."""
        return by_image(self._ask, images).numpy()

    def _ask(self, images: Tensor) -> Tensor:
        return _votes(self.query.topk(images, self.k), len(images), self.k, self.semantics)


def noisy_semantic_histogram(
    query: CheckedQuery,
    images: ImageSet,
    access: PrivateAccess,
    *,
    per_category: bool,
    share: Share = enumerate,
    over_ranks: Callable[[np.ndarray], np.ndarray] = lambda counts: counts,
) -> np.ndarray:
    """Noisy histogram of the semantics of the sensitive images (PrivImage §3.3, Theorem 3.1). SENSITIVE.

    Every image adds 1 to its k (k1) best bins in the row of its category, so adding or removing one record moves the
    histogram by sqrt(k1) in L2. Every bin, empty or not, gets noise of std sigma_1 * sqrt(k1) from
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
    _check_mechanism(access, query.k)
    counts = semantic_histogram(query, images, per_category=per_category, share=share, over_ranks=over_ranks)
    return counts + access.whole_noise(step=0, count=counts.size).reshape(counts.shape)


def semantic_histogram(
    query: CheckedQuery,
    images: ImageSet,
    *,
    per_category: bool,
    share: Share = enumerate,
    over_ranks: Callable[[np.ndarray], np.ndarray] = lambda counts: counts,
) -> np.ndarray:
    """The same histogram without noise, which a run may keep only if it promises nothing. SENSITIVE, NOT private."""
    rows = len(images.class_names) if per_category else 1
    return over_ranks(_count_semantics(query, images, rows, share))


def _check_mechanism(access: PrivateAccess, k: int) -> None:
    mechanism = access.mechanism
    if not isinstance(mechanism, GaussianQuery):
        raise ValueError(f"the semantic query needs a GaussianQuery, not a {type(mechanism).__name__}")
    if not math.isclose(mechanism.sensitivity, math.sqrt(k), rel_tol=1e-12):
        raise ValueError(
            f"the mechanism's sensitivity is {mechanism.sensitivity:g}, but {k} semantics an image have "
            f"sensitivity sqrt({k}) = {math.sqrt(k):g}"
        )


def _count_semantics(query: CheckedQuery, images: ImageSet, rows: int, share: Share) -> np.ndarray:
    """Raw counts of this process' batches, int64 [rows, semantics]. SENSITIVE: never kept or shown without noise."""
    counts = np.zeros((rows, query.semantics), dtype=np.int64)
    for _, start in share(range(0, len(images), BATCH)):
        here = slice(start, min(start + BATCH, len(images)))
        row = images.labels[here] if rows > 1 else np.zeros(here.stop - here.start, dtype=np.int64)
        np.add.at(counts, row, query.votes(images.images[here]))
    return counts


def _votes(answer: Tensor, batch: int, k: int, semantics: int) -> Tensor:
    """What the images of a batch add to their rows, int64 [B, semantics] of zeros and at most k ones each.

    A faulty query function must not raise the sensitivity: a bin named twice by one image counts once, a bin that does
    not exist not at all. Raises UserError on a wrong shape or type, without showing the values.
    """
    if not isinstance(answer, Tensor) or answer.dtype != torch.int64 or answer.shape != (batch, k):
        got = f"{answer.dtype} {list(answer.shape)}" if isinstance(answer, Tensor) else type(answer).__name__
        raise UserError(
            f"the semantic query function answered with {got} instead of int64 [{batch}, {k}]. Correct its `topk`; "
            "nothing was released."
        )
    bins = answer.cpu()
    found = torch.zeros((batch, semantics + 1), dtype=torch.int64)
    known = (bins >= 0) & (bins < semantics)
    found.scatter_(1, torch.where(known, bins, semantics), 1)
    return found[:, :semantics]
