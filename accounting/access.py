"""What code that touches sensitive data gets its randomness from."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from accounting.keystream import derive
from accounting.mechanisms import Mechanism
from accounting.run_key import RunKey
from accounting.secret import Secret

LEDGER_ONLY = object()  # shown by the ledger when it grants access
GREATEST_STD = 2.0**40  # in whole numbers: float64 still tells a draw of 2^13 times that from its neighbours


class PrivacyError(RuntimeError):
    """Code asked for more than the ledger was charged with: a bug, never a user's mistake."""


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

    def noise(self, step: int, count: int, start: int = 0) -> np.ndarray:
        """float64 [count] normals with std noise_multiplier * sensitivity, to be added once to the sum of `step`.

        start: even, where in the sum they belong; parts that are drawn one by one are those of one draw.
        """
        values = self._streams["noise"].normals(self._checked(step), count, start)
        values *= self.mechanism.noise_multiplier * self.mechanism.sensitivity
        return values

    def whole_noise(self, step: int, count: int, unit: float = 1.0) -> np.ndarray:
        """int64 [count], the noise of `step` in multiples of `unit`, rounded: to be added once to whole numbers.

        PrivacyError where it is so great that 64-bit numbers would wrap around, or floating-point ones be sparser than
        whole numbers: either would show what it is added to.
        """
        std = self.mechanism.noise_multiplier * self.mechanism.sensitivity / unit
        if not std < GREATEST_STD:
            raise PrivacyError(f"{self.mechanism.name}: noise of std {std:g} is too great for whole numbers")
        return np.rint(self.noise(step, count) / unit).astype(np.int64)

    def seed(self, step: int, rank: int = 0) -> int:
        """63-bit seed of the loss's own draws (diffusion times, label dropout, latents), another for each rank."""
        return self._streams["loss"].seed(self._checked(step), rank)

    def shared_seed(self, step: int) -> int:
        """63-bit seed, the same on every rank, of post-processing that follows a step (a GAN's generator learns)."""
        return self._streams["following"].seed(self._checked(step))

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
