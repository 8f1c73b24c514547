"""Keyed counter-mode randomness: the numbers of any step can be computed directly, and only with the key."""

from __future__ import annotations

import json
import math

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR
from numpy.typing import NDArray

from accounting.mechanisms import Mechanism
from accounting.run_key import RunKey
from accounting.secret import Secret

_STEPS = _BLOCKS = 2**64
_TURN = 2.0**-53  # spacing of the 53-bit uniforms
_FAR = 2**53 - 2**30  # uniforms from here on give normals beyond 5.6, and get 53 more bits
_FINE = 2**63  # the first of a step's blocks that those bits come from
_CHUNK = 2**16  # normals computed at once: few enough for a core's cache, enough that threads seldom need the GIL
_ZEROS = bytes(8 * _CHUNK)  # encrypting zeros gives the stream itself


class Keystream(Secret):
    """AES-256-CTR whose counter block is the step (64 bits, big-endian), then the block index (64 bits).

    Steps can never overlap: each owns 2^64 blocks of 16 bytes. A shorter draw of a step is the beginning of a longer
    one.

    Args:
        key: 32 bytes.

    Raises:
        ValueError: if the key has another length.
    """

    def __init__(self, key: bytes) -> None:
        self._algorithm = AES(key)
        if len(key) != 32:
            raise ValueError(f"a stream key has 32 bytes, got {len(key)}")

    def bytes(self, step: int, count: int, block: int = 0) -> bytes:
        """`count` bytes of a step.

        Args:
            step: in 0..2^64-1.
            count: >= 0.
            block: the first 16-byte block of the step to read, in 0..2^64-1.

        Raises:
            ValueError: if the step or the block is out of range.
        """
        return self._encryptor(step, block).update(bytes(count))

    def uniforms(self, step: int, count: int) -> NDArray[np.float64]:
        """Uniform numbers of a step: float64 [count] in [0, 1), multiples of 2^-53."""
        words = np.frombuffer(self.bytes(step, 8 * count), dtype="<u8")
        numbers: NDArray[np.float64] = np.multiply(words >> np.uint64(11), _TURN, dtype=np.float64)
        return numbers

    def normals(self, step: int, count: int, start: int = 0) -> NDArray[np.float64]:
        """Standard normals of a step. Several threads can each compute a part of them.

        Args:
            step: in 0..2^64-1.
            count: >= 0.
            start: even; number of the first one in the step.

        Returns:
            float64 [count], of absolute value 12.1 at most: a normal beyond has probability 1e-33.

        Raises:
            ValueError: if `start` is odd or negative, or `start + count` is beyond the 2^64 of a step.

        Source: Box and Muller 1958.
        """
        if start % 2 or not 0 <= start <= 2 * _FINE - count:
            raise ValueError(f"normals begin at an even number in [0, 2^64 - count], got {start}")
        values = np.empty(count + count % 2)
        for first in range(0, len(values), _CHUNK):
            self._fill(step, (start + first) // 2, values[first : first + _CHUNK])
        return values[:count]

    def _fill(self, step: int, block: int, values: NDArray[np.float64]) -> None:
        """Write the normals of the blocks from `block` on into `values`; each block is two uniforms u and v: one pair.

        The cosine and sine of 2 pi v come from t = tan(pi v), which NumPy computes several times as fast.
        """
        words = values.view("<u8")
        self._encryptor(step, block).update_into(memoryview(_ZEROS)[: values.nbytes], values.view(np.uint8).data)
        np.right_shift(words, 11, out=words)
        signed = words.view("<i8")  # 53 bits fit, and processors convert signed numbers faster
        radius = signed[0::2] * -_TURN
        np.log1p(radius, out=radius)  # 1 - u is in (0, 1], so there is no log of 0
        if signed[0::2].max(initial=0) >= _FAR:
            self._refine(step, block, signed[0::2], radius)
        np.multiply(radius, -2, out=radius)
        np.sqrt(radius, out=radius)
        tangent = signed[1::2] * (np.pi * _TURN)
        np.tan(tangent, out=tangent)  # at most 1.7e16, the tangent of the double just below pi / 2
        square = tangent * tangent
        np.divide(radius, square + 1, out=radius)
        np.subtract(1, square, out=square)
        np.multiply(radius, square, out=values[0::2])
        np.multiply(tangent, 2, out=tangent)
        np.multiply(radius, tangent, out=values[1::2])

    def _refine(self, step: int, block: int, uniforms: NDArray[np.int64], logs: NDArray[np.float64]) -> None:
        """Recompute log(1 - u), in place, for each u (in units of 2^-53) so near 1 that its spacing would show.

        1 - u gets 53 more bits, from a separate block for each pair. One pair in eight million needs them.
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

    Each field enters with its length, so two different sets of fields never share a stream.

    Args:
        stage_fingerprint: identifies the stage, its inputs and the start of the charge.
        generation: number of the start, >= 0.
        purpose: of the numbers, such as "noise".
    """
    described = json.dumps(mechanism.to_dict(), sort_keys=True)
    named = ("privimage keystream 1", stage_fingerprint, described, str(int(generation)), purpose)
    fields = [field.encode() for field in named]
    return Keystream(run_key.derive(b"".join(len(field).to_bytes(8, "big") + field for field in fields)))
