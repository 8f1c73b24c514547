import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.errors import UserError
from datamodules.sets.image_set import FILES, ImageSet


def random_set(count: int = 12, classes: int = 3, seed: int = 0) -> ImageSet:
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, 1, 4, 4), dtype=np.uint8)
    return ImageSet(images, rng.integers(0, classes, count), tuple("abcdefgh"[:classes]))


@pytest.mark.parametrize("mmap", [True, False])
def test_a_saved_set_loads_the_same_and_replaces_an_older_one(tmp_path, mmap):
    folder = tmp_path / "deep" / "set"
    random_set(seed=1).save(folder)
    images = random_set(seed=2)
    images.save(folder)
    loaded = ImageSet.load(folder, mmap=mmap)
    assert isinstance(loaded.images, np.memmap) == mmap
    assert np.array_equal(loaded.images, images.images) and np.array_equal(loaded.labels, images.labels)
    assert loaded.class_names == images.class_names
    assert [path.name for path in folder.parent.iterdir()] == ["set"]


def test_a_failed_save_leaves_nothing_behind(tmp_path, monkeypatch):
    def full_disk(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("datamodules.sets.image_set.np.save", full_disk)
    with pytest.raises(OSError, match="No space"):
        random_set().save(tmp_path / "set")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_store_is_refused_by_name(tmp_path, name):
    random_set().save(tmp_path / "set")
    content = (tmp_path / "set" / name).read_bytes()
    (tmp_path / "set" / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match="set' cannot be read"):
        ImageSet.load(tmp_path / "set")


def test_a_missing_store_is_refused_by_name(tmp_path):
    with pytest.raises(UserError, match="nowhere"):
        ImageSet.load(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("images", "labels", "names"),
    [
        (np.zeros((2, 1, 4, 4), np.float32), np.zeros(2, np.int64), ("a",)),
        (np.zeros((2, 4, 4), np.uint8), np.zeros(2, np.int64), ("a",)),
        (np.zeros((2, 2, 4, 4), np.uint8), np.zeros(2, np.int64), ("a",)),
        (np.zeros((2, 1, 4, 4), np.uint8), np.zeros(3, np.int64), ("a",)),
        (np.zeros((2, 1, 4, 4), np.uint8), np.zeros(2, np.int32), ("a",)),
        (np.zeros((2, 1, 4, 4), np.uint8), np.array([0, 1]), ("a",)),
        (np.zeros((2, 1, 4, 4), np.uint8), np.array([0, -1]), ("a",)),
        (np.zeros((2, 1, 4, 4), np.uint8), np.zeros(2, np.int64), ("a", "a")),
    ],
)
def test_anything_but_labelled_images_is_refused(images, labels, names):
    with pytest.raises(ValueError):
        ImageSet(images, labels, names)


@given(seed=st.integers(0, 99), chosen=st.lists(st.integers(0, 11), max_size=20))
def test_a_subset_holds_the_chosen_records_in_order(seed, chosen):
    images = random_set(seed=seed)
    subset = images.subset(chosen)
    assert len(subset) == len(chosen)
    for row, index in enumerate(chosen):
        assert np.array_equal(subset.images[row], images.images[index]) and subset.labels[row] == images.labels[index]


def test_the_classes_partition_the_set():
    images = random_set(40)
    assert sum(len(images.of_class(label)) for label in range(3)) == 40
    assert set(images.of_class(1).labels) == {1}


def test_relabelling_maps_every_label_and_refuses_a_gap():
    images = random_set(40)
    merged = images.relabel({0: 1, 1: 1, 2: 0}, ["x", "y"])
    assert np.array_equal(merged.labels, np.array([1, 1, 0])[images.labels])
    assert merged.class_names == ("x", "y")
    with pytest.raises(ValueError, match=r"\[2\]"):
        images.relabel({0: 0, 1: 1}, ["x", "y"])
    assert len(images.subset([]).relabel({}, [])) == 0
