"""Images on disk give the same batches as images in memory, for every reader and any number of processes."""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

from configs.errors import UserError
from configs.schema import Image
from datamodules.batches.public import OrderedBatches, ShuffledBatches, split
from datamodules.batches.step_batches import Part
from datamodules.reading.class_folders import ClassFolders
from datamodules.sets.image_set import ImageSet, LabelledImages, Reading
from datamodules.sets.indexed_set import IndexedSet, load_selection
from datamodules.store.ffcv_reading import SEGMENT, ffcv_installed
from datamodules.store.store import Store
from tests.datamodules.class_images import CIFAR, gone_but, helpers, needs_ffcv, store_of, write_classes

FFCV = pytest.param("ffcv", marks=pytest.mark.slow)  # numba compiles for seconds
READERS = ["plain", "plain by 2", FFCV, "folder", "folder by 2"]
STEPS = 11


class OnDisk:
    """The same images in memory, in a store and as files."""

    def __init__(self, root: Path, store: Path, image: Image) -> None:
        self.store, self.files = Store(store_of(root, store, image), image), ClassFolders(root, image, "root")
        self.memory = indexed(self.store).in_memory()

    def reader(self, name: str) -> tuple[IndexedSet, Reading]:
        if name == "ffcv":
            needs_ffcv()
        kind, _, workers = name.partition(" by ")
        files = self.files if kind == "folder" else self.store
        return indexed(files), Reading(int(workers or 0), "auto" if kind == "folder" else kind)


def indexed(reader: Store | ClassFolders) -> IndexedSet:
    names = tuple(f"category {number}" for number in range(int(reader.labels.max()) + 1))
    return IndexedSet(reader, np.arange(len(reader.labels)), reader.labels, names)


@pytest.fixture(scope="module", params=[1, 3], ids=["gray", "colour"])
def on_disk(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> OnDisk:
    folder = tmp_path_factory.mktemp("images")
    root = write_classes(folder / "images", {"a": 30, "b": 20, "c": 9})
    return OnDisk(root, folder / "a.beton", Image(8, request.param))


def same(one, other) -> bool:
    """Whether two sequences of batches agree: steps, images with their layout in memory, labels."""
    pairs = list(zip(one, other, strict=True))
    return all(
        a == b
        and torch.equal(x, y)
        and x.is_contiguous()
        and y.is_contiguous()
        and torch.equal(k, m)
        and k.dtype == m.dtype
        for (a, x, k), (b, y, m) in pairs
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_batches_are_those_from_memory_on_any_number_of_ranks_from_any_step(on_disk: OnDisk, name: str) -> None:
    images, reading = on_disk.reader(name)
    threads, random = torch.get_num_threads(), torch.get_rng_state()
    cases = [(3, 4, 16), (1, 0, 16), (3, 0, 2), (2, STEPS - 1, 59), (1, STEPS, 4)]
    for world, start, batch in cases[:1] if reading.workers else cases:
        for rank in range(world):
            part = Part(rank, world)
            expected = ShuffledBatches(on_disk.memory, batch, STEPS, 5, start=start, part=part)
            assert same(ShuffledBatches(images, batch, STEPS, 5, start=start, part=part, reading=reading), expected)
            ordered = OrderedBatches(on_disk.memory, batch, part=part)
            validation = OrderedBatches(images, batch, part=part, reading=reading)
            assert same(validation, ordered) and same(validation, ordered)
    assert torch.get_num_threads() == threads and torch.equal(torch.get_rng_state(), random)


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_a_resume_within_the_epoch_takes_the_next_step(on_disk: OnDisk, name: str) -> None:
    images, reading = on_disk.reader(name)
    first = ShuffledBatches(images, 16, STEPS, 5, reading=reading)
    batches = iter(first)
    for _ in range(4):
        next(batches)
    second = ShuffledBatches(images, 16, STEPS, 5, reading=reading)
    second.load_state_dict(first.state_dict())
    assert same(second, ShuffledBatches(on_disk.memory, 16, STEPS, 5, start=4))
    batches.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_what_reads_ahead_ends_with_the_iterator(on_disk: OnDisk, name: str) -> None:
    images, reading = on_disk.reader(name)
    before = helpers()
    batches = iter(ShuffledBatches(images, 4, 1000, 0, reading=reading))
    next(batches)
    assert bool(helpers() - before) == (name not in ("plain", "folder"))
    batches.close()
    assert gone_but(before)


@pytest.mark.parametrize("name", ["plain", FFCV])
def test_batches_may_be_kept_and_written_to(on_disk: OnDisk, name: str) -> None:
    images, reading = on_disk.reader(name)
    kept = list(ShuffledBatches(images, 4, 30, 0, reading=reading))
    assert same(kept, ShuffledBatches(on_disk.memory, 4, 30, 0))
    for _, pixels, labels in kept:
        pixels.zero_(), labels.zero_()
    assert same(ShuffledBatches(images, 4, 30, 0, reading=reading), ShuffledBatches(on_disk.memory, 4, 30, 0))


@pytest.mark.slow
def test_more_steps_than_are_handed_to_ffcv_at_once(on_disk: OnDisk) -> None:
    images, reading = on_disk.reader("ffcv")
    steps = 2 * SEGMENT + 3
    assert same(ShuffledBatches(images, 3, steps, 1, reading=reading), ShuffledBatches(on_disk.memory, 3, steps, 1))


@pytest.mark.slow
def test_what_fails_in_ffcvs_thread_is_raised(on_disk: OnDisk) -> None:
    images, reading = on_disk.reader("ffcv")
    with pytest.raises(Exception, match=r"out of range|index"):
        next(images.reader.read_ahead(iter([np.array([1.5, 2.5])]), reading))


@pytest.mark.parametrize("name", ["plain", "folder"])
def test_choosing_and_relabelling_are_those_of_a_set_in_memory(on_disk: OnDisk, name: str) -> None:
    images, _ = on_disk.reader(name)

    def changed(whole: LabelledImages) -> ImageSet:
        chosen = whole.subset(np.flatnonzero(whole.labels != 1)).relabel({0: 1, 2: 0}, ("x", "y"))
        return split(chosen, 0.2, 3)[0].in_memory()

    found, expected = changed(images), changed(on_disk.memory)
    assert np.array_equal(found.images, expected.images) and np.array_equal(found.labels, expected.labels)
    assert found.class_names == ("x", "y")
    with pytest.raises(ValueError, match=r"\[2\]"):
        images.relabel({0: 0, 1: 1}, ["x", "y"])


def test_a_saved_selection_is_an_index_and_comes_back(on_disk: OnDisk, tmp_path: Path) -> None:
    images, _ = on_disk.reader("plain")
    chosen = images.subset([5, 58, 3]).relabel({0: 1, 2: 0}, ("x", "y"))
    chosen.save(tmp_path / "chosen")
    assert sum(file.stat().st_size for file in (tmp_path / "chosen").iterdir()) < 1000
    files, _ = on_disk.reader("folder")
    for whole in (images, files):  # a store and the folder that it was made from are the same images
        again = load_selection(tmp_path / "chosen", lambda whole=whole: whole).in_memory()
        assert np.array_equal(again.images, chosen.in_memory().images) and again.labels.tolist() == [1, 0, 1]
        assert again.class_names == ("x", "y")
    on_disk.memory.save(tmp_path / "pixels")
    assert len(load_selection(tmp_path / "pixels", lambda: pytest.fail("not needed"))) == 59


def test_a_selection_from_other_images_is_refused(on_disk: OnDisk, tmp_path: Path) -> None:
    images, _ = on_disk.reader("plain")
    images.subset([1, 2]).save(tmp_path / "chosen")
    root = write_classes(tmp_path / "images", {"a": 30, "b": 20, "c": 8})
    other = indexed(ClassFolders(root, Image(8, 1), "root"))
    with pytest.raises(UserError, match="made from other public images"):
        load_selection(tmp_path / "chosen", lambda: other)
    with pytest.raises(UserError, match="made from other public images"):
        load_selection(tmp_path / "chosen", lambda: on_disk.memory)
    (tmp_path / "chosen" / "rows.npy").write_bytes(b"")
    with pytest.raises(UserError, match="cannot be read"):
        load_selection(tmp_path / "chosen", lambda: images)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_file_that_cannot_be_read_is_named_without_a_traceback(tmp_path: Path, workers: int) -> None:
    root = write_classes(tmp_path, {"a": 12})
    (root / "a" / "bad.png").write_text("no image")
    images = indexed(ClassFolders(root, Image(8, 1), "root"))
    with pytest.raises(UserError, match=r"^root: files that cannot be read as images: 'a/bad\.png'\. .*--corrupt skip"):
        list(ShuffledBatches(images, 13, 1, 0, reading=Reading(workers)))


def test_ffcv_does_not_read_folders(on_disk: OnDisk) -> None:
    images, _ = on_disk.reader("folder")
    with pytest.raises(UserError, match=r"launch\.reader: FFCV reads stores, not folders"):
        list(ShuffledBatches(images, 4, 1, 0, reading=Reading(0, "ffcv")))


@pytest.mark.slow
@pytest.mark.skipif(not (CIFAR / "train_10k.tar").is_file(), reason=f"no JPEGs of CIFAR-10 in {CIFAR}")
def test_real_jpegs_are_the_same_from_a_store_and_from_their_files(tmp_path: Path) -> None:
    with tarfile.open(CIFAR / "train_10k.tar") as tar:
        names = [name for name in tar.getnames() if name.endswith(("00.jpg", "50.jpg"))]
        tar.extractall(tmp_path / "cifar", members=[tar.getmember(name) for name in names], filter="data")
    image = Image(32, 3)
    on_disk = OnDisk(tmp_path / "cifar", tmp_path / "cifar.beton", image)
    assert len(on_disk.memory) == len(names) == 200
    for name in ("plain", "folder by 2", "ffcv") if ffcv_installed() else ("plain", "folder by 2"):
        images, reading = on_disk.reader(name)
        assert same(ShuffledBatches(images, 64, 7, 0, reading=reading), ShuffledBatches(on_disk.memory, 64, 7, 0))
