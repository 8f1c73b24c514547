import pickle
import warnings

import numpy as np
import pytest
from PIL import Image as Pillow

from configs.components.sources import FolderConfig
from configs.errors import UserError
from configs.schema import Image
from datamodules.reading.files_error import FilesError
from datamodules.sources import SOURCES


def save(root, name: str, value: int, size=(20, 20), mode: str = "L") -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    Pillow.new("L", size, value).convert(mode).save(root / name)


@pytest.fixture
def root(tmp_path):
    """Two categories of 30 images, gray and colour, of mixed sizes; the gray value tells which one it is."""
    folder = tmp_path / "data"
    for number in range(30):
        save(folder, f"cat/{number}.png", number, (20 + number, 31))
        save(folder, f"dog/deep/{number}.png", 100 + number, (9, 8 + number), "RGB")
    return folder


def build(root, channels: int = 1, **keys):
    return SOURCES.build(FolderConfig(root=str(root), **keys), Image(16, channels))


def values(images) -> list[int]:
    return images.images[:, 0, 8, 8].tolist()


@pytest.mark.parametrize("channels", [1, 3])
def test_every_image_is_in_one_split_with_its_category(root, channels):
    source = build(root, channels)
    train, test = source.train(), source.test()
    assert source.class_names == train.class_names == ("cat", "dog")
    assert train.images.shape[1:] == (channels, 16, 16)
    assert sorted(values(train) + values(test)) == [*range(30), *range(100, 130)]
    assert len(test) and source.size() == len(train)
    for images in (train, test):
        assert [value >= 100 for value in values(images)] == (images.labels == 1).tolist()


def test_a_new_record_moves_no_other_between_the_splits(root):
    before = set(values(build(root).test()))
    for number in range(40, 60):
        save(root, f"cat/{number}.png", number)
        after = set(values(build(root).test()))
        assert after - {number} == before
        before = after


def test_a_test_folder_of_its_own(root, tmp_path):
    save(tmp_path / "test", "dog/1.png", 7)
    source = build(root, test_root=str(tmp_path / "test"))
    assert source.size() == len(source.train()) == 60
    assert values(source.test()) == [7] and source.test().labels.tolist() == [1]
    save(tmp_path / "test", "cow/1.png", 7)
    with pytest.raises(UserError, match=r"test_root: .*'cow'"):
        build(root, test_root=str(tmp_path / "test"))


def test_the_size_is_declared_or_from_file_names_and_opens_nothing(root):
    for path in root.rglob("*.png"):
        path.write_bytes(b"not an image")
    assert build(root, count=1234).size() == 1234
    assert 45 <= build(root).size() < 60


def test_unreadable_files_are_refused_by_name(root):
    (root / "cat" / "bad.png").write_bytes(b"\x89PNG broken")
    with pytest.raises(UserError, match=r"'cat/bad.png'.*corrupt=skip"):
        both_splits(build(root))
    for number in range(20):
        (root / "cat" / f"bad{number}.png").touch()
    with pytest.raises(UserError) as caught:
        both_splits(build(root))
    assert str(caught.value).count(".png'") == 5 and "and more" in str(caught.value)


def test_unreadable_files_are_skipped_on_request_without_saying_how_many(root):
    expected = build(root).train()
    for number in range(20):
        (root / "cat" / f"bad{number}.png").touch()
    with pytest.warns(UserWarning, match="unreadable files were skipped") as caught:
        train = build(root, corrupt="skip").train()
    assert not any(character.isdigit() for character in str(caught[0].message))
    assert np.array_equal(train.images, expected.images) and np.array_equal(train.labels, expected.labels)


def test_a_split_without_readable_images_is_refused(root, tmp_path):
    (tmp_path / "test" / "cat").mkdir(parents=True)
    (tmp_path / "test" / "cat" / "1.png").touch()
    with pytest.warns(UserWarning), pytest.raises(UserError, match="test_root: no image is left"):
        build(root, test_root=str(tmp_path / "test"), corrupt="skip").test()
    with pytest.raises(UserError, match="test_fraction: no image is left"):
        build(root, test_fraction=1e-9).test()


def test_what_is_missing_is_named(root):
    with pytest.raises(UserError, match=r"root: no folder at 'data/scans'\. Give a folder .*name=digits"):
        build("data/scans")


def test_a_category_that_a_record_left_empty_stays_one(root):
    """Whether a set is accepted must not tell whether the only record of a category is in it."""
    save(root, "ape/1.png", 50)
    with_record = build(root)
    assert with_record.empty_categories() == []
    (root / "ape" / "1.png").unlink()
    without = build(root)
    assert without.empty_categories() == ["ape"]
    assert with_record.class_names == without.class_names == without.train().class_names == ("ape", "cat", "dog")
    assert 0 not in without.train().labels and set(without.train().labels) == {1, 2}


def test_a_training_set_may_be_empty_a_test_set_may_not(root):
    for path in root.rglob("*.png"):
        path.write_bytes(b"not an image")
    source = build(root, corrupt="skip", count=50)
    with pytest.warns(UserWarning, match="unreadable files were skipped"):
        train = source.train()
    assert source.size() == 50 and train.images.shape == (0, 1, 16, 16) and train.class_names == ("cat", "dog")
    with pytest.warns(UserWarning), pytest.raises(UserError, match="test_fraction: no image is left"):
        source.test()


def test_a_message_without_names_names_nobody_and_does_not_count(root):
    for number in range(20):
        (root / "cat" / f"miss-{number}.png").touch()
    with pytest.raises(FilesError) as caught:
        both_splits(build(root))
    told = pickle.loads(pickle.dumps(caught.value.under("sensitive")))
    assert "cat/miss-" in str(told) and set(told.names) <= {f"cat/miss-{number}.png" for number in range(20)}
    unnamed = told.unnamed("A list says which.")
    assert unnamed.startswith("sensitive.root: files that cannot be read as images. A list says which. Fix")
    assert "miss" not in unnamed and not any(character.isdigit() for character in unnamed)


def test_benchmarks_are_public_by_declaration_alone(root):
    assert not build(root).public_benchmark
    assert build(root, public_benchmark=True).public_benchmark


def test_a_tidy_folder_is_read_without_a_word(root):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        both_splits(build(root))


def both_splits(source) -> None:
    source.train()
    source.test()


def test_composed_and_decomposed_letters_are_one_category(tmp_path):
    save(tmp_path / "train", "caf\u00e9/1.png", 7)
    save(tmp_path / "train", "tea/1.png", 9)
    save(tmp_path / "test", "cafe\u0301/1.png", 8)
    source = build(tmp_path / "train", test_root=str(tmp_path / "test"))
    assert source.class_names == ("caf\u00e9", "tea") and source.empty_categories() == []
    assert source.train().labels.tolist() == [0, 1] and source.test().labels.tolist() == [0]
    save(tmp_path / "train", "cafe\u0301/2.png", 7)
    with pytest.raises(UserError, match="two sub-folders that are both called"):
        build(tmp_path / "train")


def test_the_owner_is_told_why_a_file_cannot_be_read(tmp_path):
    save(tmp_path, "cat/1.png", 7)
    (tmp_path / "cat" / "2.png").write_text("<html>")
    (tmp_path / "cat" / "3.png").symlink_to("gone.png")
    with pytest.raises(FilesError) as caught:
        build(tmp_path, test_fraction=1e-9).train()
    lines = caught.value.lines().splitlines()
    assert [line.split(": ")[0] for line in lines] == ["cat/2.png", "cat/3.png"]
    assert "cannot identify image" in lines[0] and "No such file" in lines[1] and str(tmp_path) not in "".join(lines)


def test_bits_in_use_are_declared(tmp_path):
    (tmp_path / "cat").mkdir()
    Pillow.fromarray(np.full((20, 20), 2048, np.uint16)).save(tmp_path / "cat" / "1.png")
    assert values(build(tmp_path, test_fraction=1e-9).train()) == [8]
    assert values(build(tmp_path, test_fraction=1e-9, bits=12).train()) == [128]
