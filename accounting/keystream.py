"""Keyed counter-mode randomness: any step's numbers can be had at once, and nobody without the key can tell them."""

from __future__ import annotations

import json

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from accounting.mechanisms import Mechanism
from accounting.run_key import RunKey
from accounting.secret import Secret

_STEPS = 2**64
_TURN = 2.0**-53  # spacing of the 53-bit uniforms


class Keystream(Secret):
    """AES-256-CTR whose counter block is step (64 bits, big-endian) then block index (64 bits).

    Steps can never overlap: each owns 2^64 blocks. A longer draw of a step begins with a shorter one. No data.
    """

    def __init__(self, key: bytes) -> None:
        self._algorithm = AES(key)
        if len(key) != 32:
            raise ValueError(f"a stream key has 32 bytes, got {len(key)}")

    def bytes(self, step: int, count: int) -> bytes:
        """`count` bytes of `step`, 0 <= step < 2^64; ValueError outside."""
        if not 0 <= step < _STEPS:
            raise ValueError(f"step must be in [0, 2^64), got {step}")
        start = int(step).to_bytes(8, "big") + bytes(8)
        return Cipher(self._algorithm, CTR(start)).encryptor().update(bytes(count))

    def uniforms(self, step: int, count: int) -> np.ndarray:
        """float64 [count] in [0, 1), multiples of 2^-53."""
        words = np.frombuffer(self.bytes(step, 8 * count), dtype="<u8")
        return (words >> np.uint64(11)) * _TURN

    def normals(self, step: int, count: int) -> np.ndarray:
        """float64 [count] standard normals by Box and Muller (1958); none beyond 8.58, a chance of 1e-17 each."""
        uniforms = self.uniforms(step, count + count % 2)
        radius = np.sqrt(-2 * np.log1p(-uniforms[0::2]))  # 1 - u is in (0, 1], so there is no log of 0
        angle = (2 * np.pi) * uniforms[1::2]
        values = np.empty(len(uniforms))
        values[0::2] = radius * np.cos(angle)
        values[1::2] = radius * np.sin(angle)
        return values[:count]

    def seed(self, step: int, index: int = 0) -> int:
        """A 63-bit seed for another generator: the `index`-th 8 bytes of `step`."""
        word = self.bytes(step, 8 * (index + 1))[-8:]
        return int.from_bytes(word, "big") >> 1


def derive(
    run_key: RunKey, *, stage_fingerprint: str, mechanism: Mechanism, generation: int, purpose: str
) -> Keystream:
    """The stream of one purpose of one start of one mechanism in one stage: HKDF-SHA256 of the run key.

    The fields enter with their lengths, so that no two different sets of them share a stream.
    """
    described = json.dumps(mechanism.to_dict(), sort_keys=True)
    named = ("privimage keystream 1", stage_fingerprint, described, str(int(generation)), purpose)
    fields = [field.encode() for field in named]
    return Keystream(run_key.derive(b"".join(len(field).to_bytes(8, "big") + field for field in fields)))
