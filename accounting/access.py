"""What code that touches sensitive data gets its randomness from."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from accounting.keystream import derive
from accounting.mechanisms import Mechanism
from accounting.run_key import RunKey
from accounting.secret import Secret

LEDGER_ONLY = object()  # the ledger passes it when it grants access
GREATEST_STD = 2.0**45  # in whole numbers: float64 still separates a draw of 2^8 times that from its neighbours
RANK_BLOCKS = 2**32  # blocks of a step's stream for each rank: 64 GiB


class PrivacyError(RuntimeError):
    """Code asked for more than was charged in the ledger: a bug, never a user's mistake."""


def whole_std(mechanism: Mechanism, unit: float) -> float:
    """The std of a mechanism's noise, in multiples of `unit`.

    Args:
        unit: what a whole number stands for, > 0.

    Raises:
        PrivacyError: if the noise is too great for whole numbers.
    """
    std = mechanism.noise_multiplier * mechanism.sensitivity / unit
    if not std < GREATEST_STD:
        raise PrivacyError(f"{mechanism.name}: noise of std {std:g} is too great for whole numbers")
    return std


class Charge(Protocol):
    """The ledger's side of an access: one reserved mechanism."""

    @property
    def head(self) -> str:
        """See `PrivateAccess.ledger_head`."""
        ...

    def published(self) -> int:
        """See `PrivateAccess.published`."""
        ...

    def progress(self, step: int, digest: str | None = None) -> None:
        """See `PrivateAccess.progress`."""
        ...


class PrivateAccess(Secret):
    """One start of a mechanism that has been entered in the ledger. Only the ledger creates it.

    Steps are numbered 0..mechanism.steps-1, and the noise of a step belongs to exactly one sum. The Poisson draw, the
    noise, the loss's own draws and the draws of what follows a step come from separate streams. Every start begins a
    new generation, so a step that runs again gets fresh randomness. An insecure key has one generation only.

    Args:
        token: LEDGER_ONLY.
        mechanism: what was charged.
        generation: number of this start of the mechanism; always 0 under an insecure key.
        run_key: key that all streams are derived from.
        stream: identifies the charge and its start; enters the derivation of every stream.
        charge: the ledger's side of this access.

    Raises:
        PrivacyError: if `token` is not LEDGER_ONLY.
    """

    def __init__(
        self,
        token: object,
        *,
        mechanism: Mechanism,
        generation: int,
        run_key: RunKey,
        stream: str,
        charge: Charge,
    ) -> None:
        if token is not LEDGER_ONLY:
            raise PrivacyError("private access is granted by the ledger, which charges the budget first")
        self.mechanism = mechanism
        self.generation = generation
        self.insecure = run_key.insecure
        self._charge = charge
        self._streams = {
            purpose: derive(
                run_key, stage_fingerprint=stream, mechanism=mechanism, generation=generation, purpose=purpose
            )
            for purpose in ("poisson", "noise", "loss", "following")
        }

    def sample(self, step: int, n: int) -> NDArray[np.int64]:
        """The records of the Poisson draw of `step`: each of range(n) with probability `sampling_rate`.

        Returns:
            int64 [B], B >= 0: ascending indices of the whole logical batch, the same on every rank.

        Sensitive: how many records are drawn, and which.
        """
        uniforms = self._streams["poisson"].uniforms(self._checked(step), n)
        return np.flatnonzero(uniforms < self.mechanism.sampling_rate).astype(np.int64, copy=False)

    def whole_noise(self, step: int, count: int, unit: float = 1.0, start: int = 0) -> NDArray[np.int64]:
        """The noise of `step`, to be added once to a sum of whole numbers. It is the step's only noise.

        Each value is a normal with std noise_multiplier * sensitivity, in multiples of `unit`, rounded to a whole
        number. Whole noise on a whole sum equals rounding (sum + normal), which is post-processing of the Gaussian
        mechanism. In floating point, the low bits of the result would show the sum (Mironov 2012).

        Args:
            step: in 0..mechanism.steps-1.
            count: number of values, >= 0.
            unit: what one whole number of the sum stands for, > 0.
            start: even; where in the sum the values belong. Parts that are drawn one by one equal those of one draw.

        Returns:
            int64 [count].

        Raises:
            PrivacyError: if the noise is so great that 64-bit numbers would wrap around, or that float64 would be
                sparser than whole numbers; if the step was not charged.
        """
        normals = self._streams["noise"].normals(self._checked(step), count, start)
        normals *= whole_std(self.mechanism, unit)
        return np.rint(normals, out=normals).astype(np.int64)

    def loss_bytes(self, step: int, count: int, rank: int = 0) -> bytes:
        """`count` secret bytes for a rank's own draws in the loss (diffusion times, label dropout, latents)."""
        return self._streams["loss"].bytes(self._checked(step), count, block=rank * RANK_BLOCKS)

    def following_bytes(self, step: int, count: int) -> bytes:
        """`count` bytes, the same on every rank, for what follows a step (the update of a GAN's generator)."""
        return self._streams["following"].bytes(self._checked(step), count)

    def published(self) -> int:
        """How many steps of this charge are known to be done and durable."""
        return self._charge.published()

    def progress(self, step: int, digest: str | None = None) -> None:
        """Record that `step` steps are done and durable, and the digest of what the last one released.

        Args:
            step: in 0..mechanism.steps.
            digest: SHA-256 of the last step's answer, if it is kept as a file.
        """
        self._charge.progress(step, digest)

    @property
    def ledger_head(self) -> str:
        """The hash of the ledger's last line, for a checkpoint to keep."""
        return self._charge.head

    def _checked(self, step: int) -> int:
        if not 0 <= step < self.mechanism.steps:
            raise PrivacyError(
                f"{self.mechanism.name}: step {step} is outside the charged 0..{self.mechanism.steps - 1}"
            )
        return step
