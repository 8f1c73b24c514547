"""Keyed counter-mode randomness: any step's numbers can be had at once, and nobody without the key can tell them."""

from __future__ import annotations

import json
import math

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from accounting.mechanisms import Mechanism
from accounting.run_key import RunKey
from accounting.secret import Secret

_STEPS = _BLOCKS = 2**64
_TURN = 2.0**-53  # spacing of the 53-bit uniforms
_FAR = 2**53 - 2**30  # uniforms from here on make normals beyond 5.6, and get 53 more bits
_FINE = 2**63  # where in a step's blocks those bits come from
_CHUNK = 2**16  # normals made at once: few enough for a core's cache, enough that threads seldom ask for the GIL
_ZEROS = bytes(8 * _CHUNK)  # what is encrypted: the stream itself is wanted


class Keystream(Secret):
    """AES-256-CTR whose counter block is step (64 bits, big-endian) then block index (64 bits).

    Steps can never overlap: each owns 2^64 blocks. A longer draw of a step begins with a shorter one. No data.
    """

    def __init__(self, key: bytes) -> None:
        self._algorithm = AES(key)
        if len(key) != 32:
            raise ValueError(f"a stream key has 32 bytes, got {len(key)}")

    def bytes(self, step: int, count: int, block: int = 0) -> bytes:
        """`count` bytes of `step` from its 16-byte block `block` on; 0 <= step, block < 2^64, ValueError outside."""
        return self._encryptor(step, block).update(bytes(count))

    def uniforms(self, step: int, count: int) -> np.ndarray:
        """float64 [count] in [0, 1), multiples of 2^-53."""
        words = np.frombuffer(self.bytes(step, 8 * count), dtype="<u8")
        return (words >> np.uint64(11)) * _TURN

    def normals(self, step: int, count: int, start: int = 0) -> np.ndarray:
        """float64 [count] standard normals by Box and Muller (1958); none beyond 12.1, a chance of 1e-33 each.

        They are those from number `start` on of the step's normals, so that several threads can each make a part.
        ValueError where start is odd, negative or beyond the step's 2^64.
        """
        if start % 2 or not 0 <= start <= 2 * _FINE - count:
            raise ValueError(f"normals begin at an even number in [0, 2^64 - count], got {start}")
        values = np.empty(count + count % 2)
        for first in range(0, len(values), _CHUNK):
            self._fill(step, (start + first) // 2, values[first : first + _CHUNK])
        return values[:count]

    def _fill(self, step: int, block: int, values: np.ndarray) -> None:
        """Make `values` the normals of the blocks from `block` on; each block is two uniforms u and v, so a pair.

        The cosine and sine of 2 pi v are made from t = tan(pi v), which NumPy computes several times as fast as them.
        """
        words = values.view("<u8")
        self._encryptor(step, block).update_into(memoryview(_ZEROS)[: values.nbytes], values.view(np.uint8).data)
        np.right_shift(words, 11, out=words)
        signed = words.view("<i8")  # as 53 bits fit, and processors convert signed numbers faster
        radius = signed[0::2] * -_TURN
        np.log1p(radius, out=radius)  # 1 - u is in (0, 1], so there is no log of 0
        if signed[0::2].max(initial=0) >= _FAR:
            self._refine(step, block, signed[0::2], radius)
        np.multiply(radius, -2, out=radius)
        np.sqrt(radius, out=radius)
        tangent = signed[1::2] * (np.pi * _TURN)
        np.tan(tangent, out=tangent)  # at most 1.7e16: the double below pi / 2 is that far from it
        square = tangent * tangent
        np.divide(radius, square + 1, out=radius)
        np.subtract(1, square, out=square)
        np.multiply(radius, square, out=values[0::2])
        np.multiply(tangent, 2, out=tangent)
        np.multiply(radius, tangent, out=values[1::2])

    def _refine(self, step: int, block: int, uniforms: np.ndarray, logs: np.ndarray) -> None:
        """Recompute log(1 - u), in place, where u in units of 2^-53 is so near 1 that its spacing would show.

        1 - u gets 53 more bits, from a block of its own for each pair. One pair in eight million comes here.
        """
        for pair in np.flatnonzero(uniforms >= _FAR):
            more = int.from_bytes(self.bytes(step, 8, _FINE + block + int(pair)), "little") >> 11
            logs[pair] = math.log((1 << 106) - (int(uniforms[pair]) << 53) - more) - 106 * math.log(2)

    def _encryptor(self, step: int, block: int) -> CipherContext:
        if not (0 <= step < _STEPS and 0 <= block < _BLOCKS):
            raise ValueError(f"step and block must be in [0, 2^64), got {step} and {block}")
        return Cipher(self._algorithm, CTR(int(step).to_bytes(8, "big") + int(block).to_bytes(8, "big"))).encryptor()


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
