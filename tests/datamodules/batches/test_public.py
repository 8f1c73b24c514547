import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.errors import UserError
from datamodules.batches.public import OrderedBatches, PublicData, ShuffledBatches, split
from datamodules.batches.step_batches import Part
from datamodules.sets.image_set import ImageSet
from tests.datamodules.numbered import numbered_set, records


@given(
    count=st.integers(1, 30), batch=st.integers(1, 40), steps=st.integers(1, 8), seed=st.integers(0, 5), data=st.data()
)
def test_ranks_share_out_one_logical_batch_that_hangs_on_the_step_alone(count, batch, steps, seed, data):
    images = numbered_set(count)
    start = data.draw(st.integers(0, steps))
    whole = records(ShuffledBatches(images, batch, steps, seed))
    for world in (1, 2, 3):
        shares = [
            records(ShuffledBatches(images, batch, steps, seed, start=start, part=Part(r, world))) for r in range(world)
        ]
        for step in range(start, steps):
            joined = np.empty(batch, dtype=np.int64)
            for rank, share in enumerate(shares):
                joined[rank::world] = share[step]
            assert np.array_equal(joined, whole[step])
        assert all(list(share) == list(range(start, steps)) for share in shares)


@given(count=st.integers(1, 30), batch=st.integers(1, 40), seed=st.integers(0, 5))
def test_every_epoch_holds_every_image_once(count, batch, seed):
    steps = -(-3 * count // batch)
    drawn = np.concatenate(list(records(ShuffledBatches(numbered_set(count), batch, steps, seed)).values()))
    for epoch in range(3):
        assert sorted(drawn[epoch * count : (epoch + 1) * count]) == list(range(count))


def test_epochs_and_seeds_are_shuffled_differently():
    orders = {tuple(r) for seed in (0, 1) for r in records(ShuffledBatches(numbered_set(50), 50, 2, seed)).values()}
    assert len(orders) == 4 and tuple(range(50)) not in orders


def test_an_empty_public_set_is_refused():
    with pytest.raises(UserError, match="empty"):
        ShuffledBatches(numbered_set(0), 4, 1, 0)


@pytest.mark.parametrize(("count", "batch", "world"), [(10, 3, 1), (10, 3, 2), (9, 3, 3), (1, 5, 2), (0, 5, 1)])
def test_ordered_batches_give_every_image_once_each_time(count, batch, world):
    for _ in range(2):
        loaders = [OrderedBatches(numbered_set(count), batch, part=Part(rank, world)) for rank in range(world)]
        seen = [index for loader in loaders for rows in records(loader).values() for index in rows]
        assert sorted(seen) == list(range(count))


def test_a_datamodule_without_validation_images_has_no_validation():
    images = numbered_set(6)
    assert PublicData(images, 2, 3, 0).val_dataloader() == []
    assert len(PublicData(images, 2, 3, 0, validation=images).val_dataloader()[0]) == 1


@given(count=st.integers(2, 60), fraction=st.floats(0.01, 0.99), seed=st.integers(0, 9))
def test_a_split_is_a_partition_of_about_the_fraction(count, fraction, seed):
    train, validation = split(numbered_set(count), fraction, seed)
    assert sorted([*train.images[:, 0, 0, 0], *validation.images[:, 0, 0, 0]]) == list(range(count))
    assert len(train) and len(validation) and abs(len(validation) - fraction * count) <= 1.5


def test_a_single_image_cannot_be_split():
    with pytest.raises(UserError, match="fewer than two"):
        split(numbered_set(1), 0.5, 0)


def test_batches_are_copies_that_may_be_written_to(tmp_path):
    numbered_set(5).save(tmp_path / "set")
    stored = ImageSet.load(tmp_path / "set", mmap=True)
    _, images, labels = next(iter(ShuffledBatches(stored, 5, 1, 0)))
    images += 1
    labels += 1
    assert np.array_equal(stored.images, numbered_set(5).images)
