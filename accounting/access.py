"""What code that touches sensitive data gets its randomness from."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from accounting.keystream import derive
from accounting.mechanisms import Mechanism
from accounting.run_key import RunKey
from accounting.secret import Secret

LEDGER_ONLY = object()  # shown by the ledger when it grants access
GREATEST_STD = 2.0**45  # in whole numbers: float64 still tells a draw of 2^8 times that from its neighbours
RANK_BLOCKS = 2**32  # blocks of a step's stream for each rank: 64 GiB


class PrivacyError(RuntimeError):
    """Code asked for more than the ledger was charged with: a bug, never a user's mistake."""


def whole_std(mechanism: Mechanism, unit: float) -> float:
    """The std of a mechanism's noise in multiples of `unit`; PrivacyError where whole numbers cannot carry it."""
    std = mechanism.noise_multiplier * mechanism.sensitivity / unit
    if not std < GREATEST_STD:
        raise PrivacyError(f"{mechanism.name}: noise of std {std:g} is too great for whole numbers")
    return std


class Charge(Protocol):
    """The ledger's side of an access: one reserved mechanism."""

    @property
    def head(self) -> str: ...

    def published(self) -> int: ...

    def progress(self, step: int, digest: str | None = None) -> None: ...


class PrivateAccess(Secret):
    """One start of a mechanism that has been entered in the ledger; made by the ledger alone.

    Steps are numbered 0..mechanism.steps-1, and the noise of a step belongs to exactly one sum. The Poisson draw, the
    noise, the loss's own draws and those of what follows a step come from separate streams. A new generation begins
    with every start, so that a step that is run again meets fresh randomness (one generation alone under an insecure
    key).
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

    def sample(self, step: int, n: int) -> np.ndarray:
        """int64 indices, ascending, of the records of `step`: each of range(n) with probability `sampling_rate`.

        The whole logical batch, the same on every rank. How many there are is sensitive.
        """
        uniforms = self._streams["poisson"].uniforms(self._checked(step), n)
        return np.flatnonzero(uniforms < self.mechanism.sampling_rate).astype(np.int64, copy=False)

    def whole_noise(self, step: int, count: int, unit: float = 1.0, start: int = 0) -> np.ndarray:
        """The noise of `step`, to be added once to a sum of whole numbers; there is no other noise.

        A normal with std noise_multiplier * sensitivity, in multiples of `unit` and rounded to a whole number. Whole
        noise on a whole sum equals rounding (sum + normal), which is post-processing of the Gaussian mechanism; in
        floating point, the low bits of the result would show the sum (Mironov 2012).

        count: how many values. unit: > 0, what one whole number of the sum stands for.
        start: even, where in the sum they belong; parts that are drawn one by one are those of one draw.
        Returns int64 [count]. Raises PrivacyError where the noise is so great that 64-bit numbers would wrap around or
        float64 be sparser than whole numbers.
        """
        normals = self._streams["noise"].normals(self._checked(step), count, start)
        normals *= whole_std(self.mechanism, unit)
        return np.rint(normals, out=normals).astype(np.int64)

    def loss_bytes(self, step: int, count: int, rank: int = 0) -> bytes:
        """`count` secret bytes for the loss's own draws (diffusion times, label dropout, latents) of a rank."""
        return self._streams["loss"].bytes(self._checked(step), count, block=rank * RANK_BLOCKS)

    def following_bytes(self, step: int, count: int) -> bytes:
        """`count` bytes, the same on every rank, for what follows a step (a GAN's generator learns)."""
        return self._streams["following"].bytes(self._checked(step), count)

    def published(self) -> int:
        """How many steps of this charge are known to be done and durable (0: none)."""
        return self._charge.published()

    def progress(self, step: int, digest: str | None = None) -> None:
        """Record that `step` steps are done and durable, and the digest of what the last one released."""
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
