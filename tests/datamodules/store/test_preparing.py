"""Making a store: always the same bytes, nothing unfinished taken for finished, and one message for a failure."""

from __future__ import annotations

import json
import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from configs.errors import UserError
from configs.schema import Image
from datamodules.reading.decoding import decode
from datamodules.reading.listing import image_files, name_hash
from datamodules.store import preparing
from datamodules.store.beton_writer import BetonWriter
from datamodules.store.preparing import prepare
from datamodules.store.store import Store, side_file
from tests.datamodules.class_images import store_of, write_classes

SHAPE = Image(16, 3)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_classes(tmp_path / "images", {"cat": 90, "dog": 70, "owl": 40})


@pytest.mark.parametrize("channels", [1, 3])
def test_a_store_holds_what_the_folder_decodes_to(root: Path, tmp_path: Path, channels: int) -> None:
    image = Image(16, channels)
    store = Store(store_of(root, tmp_path / "a.beton", image, workers=2), image)
    names = image_files(root, "root", public=True)
    assert np.array_equal(store.read(np.arange(200)), [decode(root / name, image) for name in names])
    assert [store.info.class_names[label] for label in store.labels] == [name.split("/")[0] for name in names]
    assert store.name_hashes.tolist() == [name_hash(name) for name in names]
    assert store.info.counts == (90, 70, 40) and store.info.bytes == store.path.stat().st_size
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.beton", "a.beton.json", "images"]


def test_a_store_says_where_links_led(root: Path, tmp_path: Path) -> None:
    other = write_classes(tmp_path / "other", {"fox": 2, "hen": 2})
    (root / "hens").symlink_to(other / "hen")  # a category
    (root / "cat" / "fox.png").symlink_to(other / "fox" / "001.png")  # a file
    (root / "cat" / "owl.png").symlink_to("../owl/001.png")  # within the folder
    (tmp_path / "link").symlink_to(root)  # the folder itself
    info = prepare("folder", tmp_path / "link", SHAPE, tmp_path / "a.beton", progress=False)
    assert info.linked == (str(other / "fox"), str(other / "hen")) and info.source == str(root)


def in_child(work: Callable[[], None]) -> int:
    """The exit code of some work in a separate process; minus the signal that killed it."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except UserError as error:
            os.write(2, str(error).encode())
            os._exit(2)
        finally:
            os._exit(70)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.slow
@pytest.mark.parametrize("done", [1, 64, 150, 200])
def test_a_store_whose_making_was_killed_is_none_and_is_gone_on_with(
    root: Path, tmp_path: Path, done: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, path = store_of(root, tmp_path / "whole.beton", SHAPE), tmp_path / "a.beton"
    (root / "dog" / "bad.png").write_text("no image")
    options = {"progress": False, "corrupt": "skip"}

    def killed() -> None:
        append = BetonWriter.append

        def appended(writer: BetonWriter, images: np.ndarray, readable: np.ndarray) -> None:
            append(writer, images, readable)
            writer.keep()
            if writer.progress.done >= done:
                os.kill(os.getpid(), signal.SIGKILL)

        monkeypatch.setattr(BetonWriter, "append", appended)
        prepare("imagenet", root, SHAPE, path, **options)

    assert in_child(killed) == -signal.SIGKILL
    with pytest.raises(UserError, match="no file at"):
        Store(path, SHAPE)
    read: list[int] = []
    decoded = preparing.ClassFolders.decoded
    monkeypatch.setattr(
        preparing.ClassFolders, "decoded", lambda self, rows: (read.extend(rows), decoded(self, rows))[1]
    )
    with pytest.warns(UserWarning, match=r"1 unreadable files are left out: 'dog/bad\.png'"):
        info = prepare("imagenet", root, SHAPE, path, **options)
    assert len(read) <= 201 - done and info.skipped == ("dog/bad.png",) and info.count == 200
    assert path.read_bytes() != b"" and np.array_equal(
        Store(path, SHAPE).read(np.arange(200)), Store(whole, SHAPE).read(np.arange(200))
    )
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("end", "finished"),
    [
        ("beton_writer.sync_folder", False),  # the store is in its place
        ("preparing.atomic_json", False),
        ("beton_writer.BetonWriter.forget", True),  # its side file too
    ],
)
def test_a_process_that_ends_at_the_very_end_leaves_a_store_to_finish(
    root: Path, tmp_path: Path, end: str, finished: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, path = store_of(root, tmp_path / "whole.beton", SHAPE), tmp_path / "a.beton"

    def killed() -> None:
        monkeypatch.setattr(f"datamodules.store.{end}", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        prepare("imagenet", root, SHAPE, path, progress=False)

    assert in_child(killed) == -signal.SIGKILL
    assert path.exists() and side_file(path).exists() == finished
    prepare("imagenet", root, SHAPE, path, progress=False)
    assert path.read_bytes() == whole.read_bytes()
    assert side_file(path).read_text() == side_file(whole).read_text()


def test_two_stores_of_the_same_files_are_the_same(root: Path, tmp_path: Path) -> None:
    one, other = (store_of(root, tmp_path / f"{n}.beton", SHAPE, workers=n) for n in (0, 2))
    assert one.read_bytes() == other.read_bytes()


def test_a_store_that_is_there_is_left_and_a_changed_source_is_noticed(root: Path, tmp_path: Path) -> None:
    path = store_of(root, tmp_path / "a.beton", SHAPE)
    before = path.stat().st_mtime_ns
    store_of(root, path, SHAPE)
    assert path.stat().st_mtime_ns == before
    with pytest.raises(UserError, match=r"^--output: .*holds other images \(200 of 16x16 in 3 channel"):
        store_of(root, path, Image(8, 3))
    write_classes(root, {"cat": 91})
    with pytest.raises(UserError, match=r"^--output: .*holds other images"):
        store_of(root, path, SHAPE)
    side_file(path).unlink()
    with pytest.raises(UserError, match=r"^--output: .*is not a finished store: it has no side file"):
        store_of(root, path, SHAPE)


def test_unreadable_files_are_named_and_a_skipping_call_goes_on(root: Path, tmp_path: Path) -> None:
    expected = Store(store_of(root, tmp_path / "whole.beton", SHAPE), SHAPE).read(np.arange(200))
    (root / "cat" / "bad.JPEG").write_bytes(b"\xff\xd8\xff broken")
    path = tmp_path / "a.beton"
    with pytest.raises(UserError, match=r"--source: .*'cat/bad\.JPEG'.*--corrupt skip; it resumes from here"):
        store_of(root, path, SHAPE)
    with pytest.warns(UserWarning, match="left out"):
        store_of(root, path, SHAPE, corrupt="skip")
    assert np.array_equal(Store(path, SHAPE).read(np.arange(200)), expected)


def test_empty_categories_are_refused(root: Path, tmp_path: Path) -> None:
    (root / "yak").mkdir()
    with pytest.raises(UserError, match="--source: category 'yak' has no images"):
        store_of(root, tmp_path / "a.beton", SHAPE)
    (root / "yak" / "1.png").write_text("no image")
    with pytest.raises(UserError, match="--source: no image of 'yak' could be read"), pytest.warns(UserWarning):
        store_of(root, tmp_path / "a.beton", SHAPE, corrupt="skip")
    with pytest.raises(UserError, match="--source: no folder at 'nowhere'"):
        store_of(Path("nowhere"), tmp_path / "b.beton", SHAPE)


def test_a_full_disk_gets_one_message_and_the_next_call_goes_on(
    root: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.beton"

    def on_a_full_disk() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**21, 2**21))
        prepare("imagenet", root, SHAPE, path, progress=False)

    assert in_child(on_a_full_disk) == 2
    assert "a.beton': File too large. Nothing finished so far is lost; free some space" in capfd.readouterr().err
    store_of(root, path, SHAPE)
    assert len(Store(path, SHAPE).labels) == 200


def test_too_little_space_is_said_beforehand(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("datamodules.store.preparing.shutil.disk_usage", lambda path: usage)
    with pytest.raises(UserError, match=r"--output: '.*a\.beton' will need 0\.00 GiB more, and 0\.00 GiB are free"):
        store_of(root, tmp_path / "a.beton", SHAPE)


def test_two_writers_of_one_store_do_not_meet(root: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.beton"
    other = BetonWriter(path, preparing.Layout(SHAPE.shape, 200), "another")
    with other, pytest.raises(UserError, match="another process is writing"):
        store_of(root, path, SHAPE)


def test_the_side_file_names_the_categories(root: Path, tmp_path: Path) -> None:
    for old, new in (("cat", "n01440764"), ("dog", "n02012849"), ("owl", "n03126707")):
        (root / old).rename(root / new)
    (root / "words.txt").write_text("n01440764 tench, Tinca tinca\nn02012849 crane\nn03126707 crane\n")
    with pytest.warns(UserWarning, match=r"words\.txt"):
        path = store_of(root, tmp_path / "a.beton", SHAPE)
    side = json.loads(side_file(path).read_text())
    assert side["class_names"] == ["tench", "crane (n02012849)", "crane (n03126707)"]
    assert side["categories"] == ["n01440764", "n02012849", "n03126707"]
