"""The semantic query: which public categories the sensitive images resemble, under differential privacy."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from accounting.access import PrivateAccess
from accounting.digest import digest
from accounting.mechanisms import GaussianQuery
from configs.errors import UserError
from datamodules.sets.sensitive import SensitiveImages
from lightning_modules.by_image import BATCH, by_image, check_places, made_up

TRIED = 3  # made-up images that are put in every place of a batch
Share = Callable[[Sequence[int]], Iterable[tuple[int, int]]]
"""The part of a list of work that this process does: (number, piece) pairs."""
Sum = Callable[[NDArray[np.int64]], NDArray[np.int64]]
"""The sum over processes of an array that each of them has; the same shape."""


class SemanticQuery(Protocol):
    """Finds the semantics of an image: a classifier's best categories, or what a captioner sees."""

    @property
    def semantics(self) -> int:
        """Number of categories, known before any sensitive image is read."""
        ...

    def topk(self, images: Tensor, k: int) -> Tensor:
        """The k distinct categories that fit each image best, best first.

        The answer for an image may depend on that image only (no statistics of the batch). The function was trained on
        public images only.

        Args:
            images: uint8 [B, C, H, W].
            k: in 1..semantics.

        Returns:
            int64 [B, k], in 0..semantics-1.

        Sensitive: reads sensitive images; the answer is as sensitive as they are.
        """
        ...


@runtime_checkable
class Scored(Protocol):
    """A query function that can show the scores from which its answers follow."""

    def scores(self, images: Tensor) -> Tensor:
        """Scores that determine the order of the categories of each image: `topk` is a function of them.

        Args:
            images: uint8 [B, C, H, W].

        Returns:
            [B, …] on the CPU.
        """
        ...


class CheckedQuery:
    """A query function that was tried: an image's k categories do not depend on its place in a batch or its neighbours.

    The function is tried on made-up images, so this object is built before the charge. If it has `scores`, these are
    compared too, to the last bit: two categories may be nearly equal in a sensitive image although they differ in all
    made-up ones.

    Args:
        query: the function.
        k: in 1..query.semantics.
        shape: (C, H, W) of an image.

    Raises:
        UserError: if k is out of range, an answer is not int64 [B, k], or an answer changes with an image's place in
            its batch.
    """

    semantics: int
    """Number of categories."""
    fingerprint: str
    """Hash of the answers for the made-up images; must be the same in all processes that share the sensitive ones."""

    def __init__(self, query: SemanticQuery, k: int, shape: tuple[int, int, int]) -> None:
        if not 1 <= k <= query.semantics:
            raise UserError(
                f"query.semantics: {k} is out of range. The query function has {query.semantics} categories; give a "
                f"number from 1 to {query.semantics}."
            )
        self.query = query
        self.k = k
        self.semantics = query.semantics
        tried = made_up(TRIED, shape)
        subject, instead = "query: the query function's categories", "another query function"
        answers = [check_places(self._ask, tried, subject=subject, instead=instead)]
        if isinstance(query, Scored):
            subject = "query: the query function's scores"
            answers.append(check_places(query.scores, tried, subject=subject, instead=instead))
        self.fingerprint = digest(answer.numpy() for answer in answers)

    def votes(self, images: NDArray[np.uint8]) -> NDArray[np.int64]:
        """What each image adds to its row of the histogram.

        Args:
            images: uint8 [N, C, H, W].

        Returns:
            int64 [N, semantics]: at most k ones per image, the rest zeros.

        Sensitive: reads sensitive images; the result is as sensitive as they are.
        """
        return by_image(self._ask, images).numpy()

    def _ask(self, images: Tensor) -> Tensor:
        return _votes(self.query.topk(images, self.k), len(images), self.k, self.semantics)


def noisy_semantic_histogram(
    query: CheckedQuery,
    images: SensitiveImages,
    access: PrivateAccess,
    *,
    per_category: bool,
    share: Share = enumerate,
    over_ranks: Sum = lambda counts: counts,
) -> NDArray[np.int64]:
    """Noisy histogram of the semantics of the sensitive images.

    Every image adds 1 to its k (k1) best bins in the row of its category, so adding or removing one record moves the
    histogram by sqrt(k1) in L2. Every bin, empty or not, gets noise of std sigma_1 * sqrt(k1) from `access`. The raw
    counts leave this function only with that noise.

    The released value is the integer count plus the noise rounded to an integer. That equals rounding (count + noise),
    because an integer shift commutes with rounding: it is post-processing of the continuous Gaussian mechanism. Every
    release is on the integer grid for any count, so the gaps between floating-point numbers cannot reveal the count
    (Mironov 2012).

    Args:
        query: the query function, tried before the charge.
        images: the sensitive images.
        access: grants the noise; its mechanism is a GaussianQuery of sensitivity sqrt(k).
        per_category: whether every category has its own row.
        share: gives each of several processes the batches that it counts.
        over_ranks: adds up the raw counts of all processes, before the noise, over a network that must be trusted.

    Returns:
        int64 [categories, semantics], or [1, semantics] without `per_category`; the same in every process.

    Raises:
        UserError: if the query function does not answer with int64 [B, k].
        ValueError: if the mechanism of `access` is not this one.

    Source: PrivImage §3.3, Theorem 3.1.

    Sensitive: reads sensitive images; the result is differentially private by the charge of `access`.
    """
    _check_mechanism(access, query.k)
    counts = semantic_histogram(query, images, per_category=per_category, share=share, over_ranks=over_ranks)
    return counts + access.whole_noise(step=0, count=counts.size).reshape(counts.shape)


def semantic_histogram(
    query: CheckedQuery,
    images: SensitiveImages,
    *,
    per_category: bool,
    share: Share = enumerate,
    over_ranks: Sum = lambda counts: counts,
) -> NDArray[np.int64]:
    """The histogram of `noisy_semantic_histogram` without noise, for a run without a guarantee (NOT PRIVATE).

    Sensitive: reads sensitive images; the result is as sensitive as they are.
    """
    rows = len(images.class_names) if per_category else 1
    return over_ranks(_count_semantics(query, images, rows, share))


def _check_mechanism(access: PrivateAccess, k: int) -> None:
    mechanism = access.mechanism
    if not isinstance(mechanism, GaussianQuery):
        raise ValueError(f"the semantic query needs a GaussianQuery, not a {type(mechanism).__name__}")
    if not math.isclose(mechanism.sensitivity, math.sqrt(k), rel_tol=1e-12):
        raise ValueError(
            f"the mechanism's sensitivity is {mechanism.sensitivity:g}, but {k} semantics per image have "
            f"sensitivity sqrt({k}) = {math.sqrt(k):g}"
        )


def _count_semantics(query: CheckedQuery, images: SensitiveImages, rows: int, share: Share) -> NDArray[np.int64]:
    """Raw counts of this process's batches, int64 [rows, semantics].

    Sensitive: as sensitive as the images; never kept or shown without noise.
    """
    held = images.exposed()
    counts = np.zeros((rows, query.semantics), dtype=np.int64)
    for _, start in share(range(0, len(images), BATCH)):
        here = slice(start, min(start + BATCH, len(images)))
        row = held.labels[here] if rows > 1 else np.zeros(here.stop - here.start, dtype=np.int64)
        np.add.at(counts, row, query.votes(held.images[here]))
    return counts


def _votes(answer: Tensor, batch: int, k: int, semantics: int) -> Tensor:
    """What the images of a batch add to their rows: int64 [B, semantics], at most k ones per image, the rest zeros.

    A faulty query function must not raise the sensitivity: a bin that an image has twice counts once, and a bin that
    does not exist does not count. A wrong shape or type raises UserError, whose message does not show the values.
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
