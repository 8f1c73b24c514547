import itertools
import pickle
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from accounting import keystream
from accounting.keystream import _CHUNK, Keystream, derive
from accounting.mechanisms import GaussianQuery, SampledGaussian
from accounting.run_key import RunKey

KEYS = st.binary(min_size=32, max_size=32)
STEPS = st.integers(0, 2**64 - 1)
KEY = RunKey(bytes(range(32)), insecure=True)
QUERY = GaussianQuery(name="a", noise_multiplier=3, sensitivity=1)
STREAM = Keystream(bytes(range(32)))


@given(key=KEYS, step=STEPS, count=st.integers(0, 100))
def test_bytes_are_aes_of_step_and_block(key: bytes, step: int, count: int) -> None:
    encrypt = Cipher(AES(key), ECB()).encryptor()
    blocks = b"".join(step.to_bytes(8, "big") + b.to_bytes(8, "big") for b in range(count // 16 + 1))
    assert Keystream(key).bytes(step, count) == encrypt.update(blocks)[:count]


@given(step=STEPS, short=st.integers(0, 50), more=st.integers(0, 50))
def test_draws_repeat_and_longer_ones_begin_with_shorter(step: int, short: int, more: int) -> None:
    for draw in (STREAM.uniforms, STREAM.normals):
        assert np.array_equal(draw(step, short + more)[:short], draw(step, short))
        assert draw(step, short).dtype == np.float64 and draw(step, short).shape == (short,)


def box_muller(uniforms: np.ndarray) -> np.ndarray:
    """The formula of Box and Muller (1958) in the widest floating-point type."""
    u, v = uniforms.astype(np.longdouble).reshape(-1, 2).T
    radius, angle = np.sqrt(-2 * np.log1p(-u)), 8 * np.arctan(np.longdouble(1)) * v
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).ravel()


@given(key=KEYS, step=STEPS)
def test_normals_are_those_of_the_written_out_formula(key: bytes, step: int) -> None:
    stream = Keystream(key)
    assert np.abs(stream.normals(step, 400) - box_muller(stream.uniforms(step, 400))).max() < 1e-14


class Extreme(Keystream):
    """Returns chosen words instead of the cipher's."""

    def __init__(self, words: list[int]) -> None:
        super().__init__(bytes(32))
        self.content = np.array(words, dtype="<u8").tobytes()

    def _encryptor(self, step: int, block: int) -> "Extreme":
        return self

    def update(self, zeros: bytes) -> bytes:
        return self.content[: len(zeros)]

    def update_into(self, zeros: bytes, out: memoryview) -> None:
        out[:] = self.content


def test_extreme_uniforms_give_finite_normals() -> None:
    ends = [0, 1, 2**62 - 1, 2**62, 2**63 - 1, 2**63, 2**63 + 2**11, 2**63 + 2**62, 2**64 - 2**11, 2**64 - 1]
    stream = Extreme([word for pair in itertools.product(ends, ends) for word in pair])
    normals = stream.normals(0, 2 * len(ends) ** 2)
    assert np.isfinite(normals).all() and 8.57 < np.abs(normals).max() < 8.58
    np.testing.assert_allclose(normals, box_muller(stream.uniforms(0, len(normals))).astype(float), rtol=0, atol=5e-15)


@pytest.mark.parametrize("below", [1, 2, 3, 1000, 2**30])
def test_uniforms_next_to_1_get_more_bits_so_that_the_tail_goes_on(below: int) -> None:
    uniforms = np.full(4000, 2**53 - below)
    logs = np.full(len(uniforms), np.nan)
    STREAM._refine(5, 2, uniforms, logs)
    rest = np.exp(logs + 53 * np.log(2))  # 1 - u in units of 2^-53: one unit wide, even
    assert (np.abs(rest - (below - 0.5)) <= 0.5 * (1 + 1e-6)).all()
    if below <= 3:
        assert stats.kstest(rest - (below - 1), "uniform").pvalue > 1e-4
    again = np.full(1000, np.nan)
    STREAM._refine(5, 2 + 3000, uniforms[3000:], again)
    assert np.array_equal(again, logs[3000:])  # a pair's bits are its own, wherever a part begins


def test_normals_far_out_are_refined(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = STREAM.normals(9, 2000)
    monkeypatch.setattr(keystream, "_FAR", 2**52)
    refined = STREAM.normals(9, 2000)
    assert (plain != refined).sum() > 300 and np.abs(plain - refined).max() < 1e-12
    ends = Extreme([2**64 - 1, 0] * 2)  # every bit that is asked for is set
    monkeypatch.setattr(ends, "bytes", lambda step, count, block: b"\xff" * count)
    assert 12.1 < ends.normals(0, 4)[0] < 12.13


def test_the_bits_of_normals_far_out_are_read_for_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keystream, "_FAR", 0)  # every pair gets more bits
    read, encryptor = [], Keystream._encryptor

    def watched(stream: Keystream, step: int, block: int) -> Any:
        read.append((step, block))
        return encryptor(stream, step, block)

    monkeypatch.setattr(Keystream, "_encryptor", watched)
    STREAM.normals(9, 200, start=40)
    first, *more = read
    assert first == (9, 20) and len(set(more)) == 100
    assert all(step == 9 and block >= 2**63 for step, block in more)  # normals end there


@given(
    step=STEPS,
    start=st.integers(0, _CHUNK + 50).map(lambda half: 2 * half),
    around=st.sampled_from([0, _CHUNK, 2 * _CHUNK]),
    more=st.integers(-20, 20),
)
@settings(max_examples=50)
def test_normals_can_be_made_from_any_even_number_on(step: int, start: int, around: int, more: int) -> None:
    count = max(0, around + more)
    whole = STREAM.normals(step, start + count)
    assert np.array_equal(STREAM.normals(step, count, start), whole[start:])


@given(step=STEPS, cuts=st.lists(st.integers(0, 150).map(lambda half: 2 * half), max_size=6), count=st.integers(0, 301))
def test_parts_make_up_the_whole(step: int, cuts: list[int], count: int) -> None:
    edges = [0, *sorted(cut for cut in cuts if cut <= count), count]
    parts = [STREAM.normals(step, stop - start, start) for start, stop in itertools.pairwise(edges)]
    assert np.array_equal(np.concatenate(parts), STREAM.normals(step, count))


@pytest.mark.parametrize("start", [-2, -1, 1, 3, 2**64 - 2, 2**64, 2**70])
def test_normals_from_an_odd_number_or_another_steps_blocks_are_refused(start: int) -> None:
    with pytest.raises(ValueError, match="even"):
        STREAM.normals(0, 3, start)


def test_a_steps_last_normals_are_not_the_next_steps_first() -> None:
    last = STREAM.normals(4, 4, 2**64 - 4)
    assert not np.isin(last, STREAM.normals(5, 100)).any() and not np.isin(last, STREAM.normals(4, 100)).any()


@pytest.mark.parametrize("step", [-1, 2**64])
def test_steps_outside_the_counter_are_refused(step: int) -> None:
    with pytest.raises(ValueError, match="step"):
        STREAM.bytes(step, 1)


def test_a_key_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="32"):
        Keystream(bytes(16))


def test_no_two_streams_or_steps_share_a_block() -> None:
    described = {"mechanism": QUERY, "stage_fingerprint": "s", "generation": 1, "purpose": "noise"}
    training = SampledGaussian(name="a", noise_multiplier=3, sampling_rate=1, steps=1, sensitivity=1)
    variants = [
        described,
        {**described, "purpose": "poisson"},
        {**described, "generation": 2},
        {**described, "stage_fingerprint": "t"},
        {**described, "mechanism": training},
        {**described, "mechanism": GaussianQuery(name="a", noise_multiplier=4, sensitivity=1)},
        # The same characters in other fields: only the lengths tell them apart.
        {**described, "stage_fingerprint": "s1", "generation": 1},
        {**described, "stage_fingerprint": "", "purpose": "snoise"},
    ]
    blocks: set[bytes] = set()
    for variant in variants:
        stream = derive(KEY, **variant)
        assert stream.bytes(0, 64) == derive(KEY, **variant).bytes(0, 64)
        for step in range(20):
            content = stream.bytes(step, 160)
            blocks.update(content[i : i + 16] for i in range(0, 160, 16))
    assert len(blocks) == len(variants) * 20 * 10


def test_another_run_key_gives_another_stream() -> None:
    described = {"mechanism": QUERY, "stage_fingerprint": "s", "generation": 1, "purpose": "noise"}
    other = RunKey(bytes(range(1, 33)), insecure=True)
    assert derive(KEY, **described).bytes(0, 16) != derive(other, **described).bytes(0, 16)


def test_uniforms_and_normals_have_their_distributions() -> None:
    uniforms, normals = STREAM.uniforms(7, 200_000), STREAM.normals(8, 200_000)
    assert uniforms.min() >= 0 and uniforms.max() < 1
    assert np.array_equal(uniforms * 2**53, np.floor(uniforms * 2**53))
    assert stats.kstest(uniforms, "uniform").pvalue > 1e-4
    assert stats.kstest(normals, "norm").pvalue > 1e-4
    assert normals.var() == pytest.approx(1, abs=5 * np.sqrt(2 / 200_000))
    assert stats.kurtosis(normals) == pytest.approx(0, abs=5 * np.sqrt(24 / 200_000))
    # Box and Muller make them in pairs: their members must not know of each other, nor their squares.
    pairs = normals.reshape(-1, 2)
    assert abs(np.corrcoef(pairs.T)[0, 1]) < 5 / np.sqrt(len(pairs))
    assert abs(np.corrcoef((pairs**2).T)[0, 1]) < 5 / np.sqrt(len(pairs))


def test_normals_of_different_steps_are_independent() -> None:
    drawn = np.stack([STREAM.normals(step, 20_000) for step in range(6)])
    correlations = np.corrcoef(drawn)[np.triu_indices(6, 1)]
    assert np.abs(correlations).max() < 5 / np.sqrt(20_000)
    assert stats.kstest(drawn.sum(axis=0) / np.sqrt(6), "norm").pvalue > 1e-4


@given(step=st.integers(0, 2**64 - 1), block=st.integers(0, 2**64 - 20), count=st.integers(0, 300))
def test_bytes_of_a_later_block_are_those_of_one_long_draw(step: int, block: int, count: int) -> None:
    assert STREAM.bytes(step, 32 + count, block)[32:] == STREAM.bytes(step, count, block + 2)


def test_a_stream_is_never_shown_or_pickled() -> None:
    assert "hidden" in repr(STREAM)
    with pytest.raises(TypeError):
        pickle.dumps(STREAM)
