import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounting.access import PrivateAccess
from accounting.ledger import Ledger
from accounting.mechanisms import SampledGaussian
from accounting.run_key import RunKey
from datamodules.batches.poisson import PoissonBatches, SensitiveData
from datamodules.batches.step_batches import Part
from datamodules.sets.sensitive import SensitiveImages
from tests.datamodules.numbered import numbered_set, records

STEPS = 6


@pytest.fixture(scope="module")
def access_for(tmp_path_factory):
    """Grants access to a new mechanism of a given sampling rate."""

    def grant(sampling_rate: float, key: str = "ab" * 32) -> PrivateAccess:
        folder = tmp_path_factory.mktemp("run")
        mechanism = SampledGaussian(
            name="dp-sgd", noise_multiplier=50.0, sampling_rate=sampling_rate, steps=STEPS, sensitivity=1.0
        )
        ledger = Ledger.open(folder / "ledger.jsonl", epsilon=10.0, delta=1e-4, n=1000, accountant="rdp", insecure=True)
        run_key = RunKey.create_or_load(folder / "key", insecure_hex=key)
        return ledger.reserve(mechanism, stage="finetune", fingerprint="f", run_key=run_key)

    return grant


@settings(max_examples=20)
@given(count=st.integers(1, 80), rate=st.sampled_from([0.01, 0.2, 0.7, 1.0]), start=st.integers(0, STEPS))
def test_ranks_share_out_one_logical_batch_that_hangs_on_the_step_alone(access_for, count, rate, start):
    images, access = numbered_set(count), access_for(rate)
    whole = records(PoissonBatches(SensitiveImages(images), access))
    assert list(whole) == list(range(STEPS))
    for world in (1, 2, 3):
        shares = [
            records(PoissonBatches(SensitiveImages(images), access, start=start, part=Part(r, world)))
            for r in range(world)
        ]
        for step in range(start, STEPS):
            joined = np.concatenate([share[step] for share in shares])
            assert sorted(joined) == sorted(whole[step]) and len(set(joined)) == len(joined)
            sizes = [len(share[step]) for share in shares]
            assert max(sizes) - min(sizes) <= 1
        assert all(list(share) == list(range(start, STEPS)) for share in shares)


def test_the_batches_are_the_ledgers_poisson_samples(access_for):
    images, access = numbered_set(200), access_for(0.3)
    for step, rows in records(PoissonBatches(SensitiveImages(images), access)).items():
        assert np.array_equal(rows, access.sample(step, 200))


@pytest.mark.slow
def test_another_key_draws_other_batches(access_for):
    images = numbered_set(200)
    one, other = (
        records(PoissonBatches(SensitiveImages(images), access_for(0.5, key))) for key in ("ab" * 32, "cd" * 32)
    )
    assert all(not np.array_equal(one[step], other[step]) for step in range(STEPS))


@pytest.mark.parametrize("world", [1, 2])
def test_an_empty_batch_keeps_its_shape_and_its_step(access_for, world):
    batches = list(PoissonBatches(SensitiveImages(numbered_set(3)), access_for(1e-9), part=Part(world - 1, world)))
    assert [step for step, _, _ in batches] == list(range(STEPS))
    for _, images, labels in batches:
        assert images.shape == (0, 1, 4, 4) and labels.shape == (0,)


def test_the_datamodule_starts_where_it_is_told(access_for):
    loader = SensitiveData(SensitiveImages(numbered_set(5)), access_for(0.5), start=4).train_dataloader()
    assert len(loader) == STEPS and list(records(loader)) == [4, 5]
