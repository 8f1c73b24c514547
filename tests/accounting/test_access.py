import copy
import inspect
import itertools
import pickle
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from accounting import keystream
from accounting.access import PrivacyError, PrivateAccess
from accounting.ledger import Ledger
from accounting.mechanisms import GaussianQuery, Mechanism, SampledGaussian
from accounting.run_key import RunKey
from configs.errors import UserError

TRAINING = SampledGaussian(name="dp-sgd", noise_multiplier=2.5, sampling_rate=0.3, steps=200, sensitivity=0.4)
N = 2000
UNIT = 2.0**-20


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger.open(tmp_path / "ledger.jsonl", epsilon=50, delta=1e-5, n=N, accountant="rdp", insecure=True)


def _access(ledger: Ledger, mechanism: Mechanism = TRAINING) -> PrivateAccess:
    key = RunKey.create_or_load("unused", "5a" * 32)
    return ledger.reserve(mechanism, stage="finetune", fingerprint="f", run_key=key)


READERS: dict[str, tuple[Callable[[PrivateAccess, int], Any], ...]] = {
    "records": (lambda access, step: access.sample(step, N),),
    "noise": (
        lambda access, step: access.whole_noise(step, 20, UNIT),
        lambda access, step: access.whole_noise(step, 20, UNIT, start=40),
    ),
    "loss": (
        lambda access, step: list(access.loss_bytes(step, 64)),
        lambda access, step: list(access.loss_bytes(step, 64, rank=3)),
    ),
    "following": (lambda access, step: list(access.following_bytes(step, 64)),),
}
"""All that is random in a private step, by what it is for."""


def test_only_the_ledger_grants_access() -> None:
    key = RunKey(bytes(32), insecure=True)
    with pytest.raises(PrivacyError, match=r"by the ledger"):
        PrivateAccess(object(), mechanism=TRAINING, generation=1, run_key=key, stream="", charge=None)


def test_each_record_is_drawn_on_its_own_at_the_sampling_rate(ledger: Ledger) -> None:
    access = _access(ledger)
    drawn = np.zeros((TRAINING.steps, N), dtype=bool)
    for step in range(TRAINING.steps):
        indices = access.sample(step, N)
        assert indices.dtype == np.int64 and np.all(np.diff(indices) > 0)
        drawn[step, indices] = True
    rate = TRAINING.sampling_rate
    assert stats.binomtest(int(drawn.sum()), drawn.size, rate).pvalue > 1e-4
    # Batch sizes and the records' numbers of draws vary as binomials do, no less and no more.
    for counts, trials in ((drawn.sum(axis=1), N), (drawn.sum(axis=0), TRAINING.steps)):
        dispersion = ((counts - trials * rate) ** 2).sum() / (trials * rate * (1 - rate))
        assert 1e-4 < stats.chi2.cdf(dispersion, len(counts)) < 1 - 1e-4
    neighbours = np.corrcoef(drawn[:, :-1].ravel(), drawn[:, 1:].ravel())[0, 1]
    successors = np.corrcoef(drawn[:-1].ravel(), drawn[1:].ravel())[0, 1]
    assert max(abs(neighbours), abs(successors)) < 5 / np.sqrt(drawn.size)


def test_a_query_reads_every_record(ledger: Ledger) -> None:
    access = _access(ledger, GaussianQuery(name="query", noise_multiplier=10, sensitivity=2))
    assert np.array_equal(access.sample(0, 50), np.arange(50))


def test_noise_has_the_mechanisms_scale_and_fits_every_draw_of_a_step(ledger: Ledger) -> None:
    access = _access(ledger)
    noise = access.whole_noise(0, 100_000, UNIT)
    assert stats.kstest(noise * UNIT / (2.5 * 0.4), "norm").pvalue > 1e-4
    assert np.array_equal(noise, access.whole_noise(0, 100_000, UNIT))
    assert abs(np.corrcoef(noise, access.whole_noise(1, 100_000, UNIT))[0, 1]) < 5 / np.sqrt(100_000)


@pytest.mark.parametrize("unit", [2.0**-40, 0.1, 1.0])
def test_noise_is_the_streams_normals_on_a_grid(ledger: Ledger, unit: float) -> None:
    access = _access(ledger)
    found = access.whole_noise(3, 500, unit)
    fine = access.whole_noise(3, 500, 2.0**-40) * 2.0**-40  # the same normals, hardly rounded
    assert found.dtype == np.int64 and np.abs(found * unit - fine).max() <= unit / 2 + 2.0**-40
    assert np.array_equal(found[100:], access.whole_noise(3, 400, unit, start=100))


def test_noise_too_great_for_64_bits_is_refused(ledger: Ledger) -> None:
    wide = GaussianQuery(name="query", noise_multiplier=1e6, sensitivity=1e12)
    with pytest.raises(PrivacyError, match="too great for whole numbers"):
        _access(ledger, wide).whole_noise(0, 2)
    with pytest.raises(UserError, match="noise_multiplier must be at most 1e"):
        GaussianQuery(name="query", noise_multiplier=1e20, sensitivity=1)


def test_all_that_is_random_is_tried_here() -> None:
    takes_a_step = {
        name
        for name, method in inspect.getmembers(PrivateAccess, inspect.isfunction)
        if not name.startswith("_") and "step" in inspect.signature(method).parameters
    }
    called: set[str] = set()

    class Noted:
        def __getattr__(self, name: str) -> Callable[..., tuple[int, ...]]:
            called.add(name)
            return lambda *_, **__: ()

    for reader in itertools.chain(*READERS.values()):
        reader(Noted(), 0)
    assert called == takes_a_step - {"progress"}  # which draws nothing


def test_each_purpose_reads_a_stream_that_is_read_for_nothing_else(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checked by the keys and counters of AES: no two purposes, steps or mechanisms share a block."""
    read: list[tuple[bytes, int]] = []
    encrypting = keystream.Cipher

    def watched(algorithm: Any, mode: Any) -> Any:
        read.append((algorithm.key, int.from_bytes(mode.nonce[:8], "big")))
        return encrypting(algorithm, mode)

    monkeypatch.setattr(keystream, "Cipher", watched)
    streams: list[bytes] = []
    other = SampledGaussian(name="dp-sgd", noise_multiplier=2.5, sampling_rate=0.4, steps=200, sensitivity=0.4)
    for access in (_access(ledger), _access(ledger, other)):
        for readers in READERS.values():
            keys: set[bytes] = set()
            for step, reader in itertools.product((0, 1, 7, 199), readers):
                read.clear()
                reader(access, step)
                assert read and {counter for _, counter in read} == {step}
                keys |= {key for key, _ in read}
            assert len(keys) == 1
            streams += keys
    assert len(set(streams)) == 2 * len(READERS)


KEYS = st.binary(min_size=32, max_size=32)


@pytest.mark.slow
@settings(max_examples=25)
@given(one=KEYS, other=KEYS, step=st.integers(0, TRAINING.steps - 1))
def test_all_that_is_random_depends_on_the_key(one: bytes, other: bytes, step: int) -> None:
    """Somebody who knows everything else, and another run's draws, knows nothing of these draws."""
    assume(one != other)
    with tempfile.TemporaryDirectory() as folder:
        drawn = []
        for number, key in enumerate((one, one, other)):
            place = Path(folder) / str(number)
            ledger = Ledger.open(place, epsilon=50, delta=1e-5, n=N, accountant="rdp", insecure=True)
            key = RunKey(key, insecure=True)
            access = ledger.reserve(TRAINING, stage="finetune", fingerprint="f", run_key=key)
            drawn.append([np.asarray(reader(access, step)) for reader in itertools.chain(*READERS.values())])
    for mine, again, theirs in zip(*drawn, strict=True):
        assert np.array_equal(mine, again) and not np.array_equal(mine, theirs)


def test_ranks_and_steps_have_loss_draws_of_their_own(ledger: Ledger) -> None:
    access = _access(ledger)
    drawn = {access.loss_bytes(step, 16, rank) for step in range(50) for rank in range(4)}
    assert len(drawn) == 200 and access.loss_bytes(3, 16) == access.loss_bytes(3, 16, 0)
    assert access.loss_bytes(3, 5000, 1)[:16] == access.loss_bytes(3, 16, 1)


def test_ranks_share_the_draws_of_what_follows_a_step_and_they_tell_nothing_of_their_own(ledger: Ledger) -> None:
    access = _access(ledger)
    shared = {access.following_bytes(step, 16) for step in range(50)}
    assert len(shared) == 50 and access.following_bytes(3, 16) == access.following_bytes(3, 16)
    assert not shared & {access.loss_bytes(step, 16, rank) for step in range(50) for rank in range(4)}


@pytest.mark.parametrize("step", [-1, TRAINING.steps, 10**9])
def test_steps_that_were_not_charged_are_refused(ledger: Ledger, step: int) -> None:
    access = _access(ledger)
    others = (lambda: access.loss_bytes(step, 8), lambda: access.following_bytes(step, 8))
    for draw in (lambda: access.sample(step, N), lambda: access.whole_noise(step, 3), *others):
        with pytest.raises(PrivacyError, match="outside"):
            draw()


def test_progress_goes_to_the_ledger(ledger: Ledger) -> None:
    access = _access(ledger)
    assert access.published() == 0
    access.progress(7)
    access.progress(3)
    assert access.published() == ledger.published("dp-sgd") == 7
    assert access.ledger_head == ledger.head
    with pytest.raises(PrivacyError, match="progress"):
        access.progress(TRAINING.steps + 1)


def test_access_is_never_shown_or_copied(ledger: Ledger) -> None:
    access = _access(ledger)
    assert "5a5a" not in repr(access)
    for act in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="key material"):
            act(access)
