"""Generators for private steps: every bit of their state is secret."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from accounting.keystream import Keystream
from lightning_modules.dp_sgd.random_generators import keyed_generator

CPU = torch.device("cpu")


def draws(content: bytes) -> torch.Tensor:
    """Numbers of a generator whose state is made from `content`, repeated."""
    generator = keyed_generator(lambda count: (content * (count // len(content) + 1))[:count], CPU)
    return torch.randint(0, 2**24, (2000,), generator=generator)


@given(seed=st.integers(0, 2**32 - 1))
def test_it_is_the_mersenne_twister_with_the_given_words(seed: int) -> None:
    words = np.random.default_rng(seed).integers(0, 2**32, 624, dtype=np.uint32)
    twister = np.random.MT19937()
    twister.state = {"bit_generator": "MT19937", "state": {"key": words, "pos": 624}}
    generator = keyed_generator(lambda count: words.tobytes()[:count], CPU)
    found = torch.randint(0, 2**24, (2000,), generator=generator).numpy()
    assert np.array_equal(found, twister.random_raw(2000) % 2**24)


@given(st.integers(8, 624 * 4 * 8 - 1))
def test_every_bit_of_its_state_counts(bit: int) -> None:
    content = bytearray(Keystream(bytes(32)).bytes(0, 4 * 624))
    before = draws(bytes(content))
    content[bit // 8] ^= 1 << bit % 8
    if bit < 32 and bit != 31:  # of the first word, the twister uses the top bit alone
        return
    assert not torch.equal(draws(bytes(content)), before)


def test_normals_are_normal_and_steps_have_their_own() -> None:
    stream = Keystream(bytes(range(32)))
    first, second = (
        torch.randn(100_000, generator=keyed_generator(lambda count, step=step: stream.bytes(step, count), CPU))
        for step in (0, 1)
    )
    assert abs(first.mean()) < 0.02 and abs(first.std() - 1) < 0.02
    assert abs(np.corrcoef(first, second)[0, 1]) < 5 / np.sqrt(100_000)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_key_and_counter_are_secret() -> None:
    cuda = torch.device("cuda")
    drawn = set()
    for number in range(4):
        content = bytes([1 + number // 2] * 8 + [16 * (1 + number % 2)] * 8)
        generator = keyed_generator(lambda count, content=content: content[:count], cuda)
        drawn.add(tuple(torch.randn(64, generator=generator, device=cuda).tolist()))
        torch.randn(10**6, generator=generator, device=cuda)  # there is room to count on
    assert len(drawn) == 4
