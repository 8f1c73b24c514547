"""A benchmark's files are found in either layout, and downloaded only if that is asked for."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from configs.errors import UserError
from datamodules.sources import celeba, cifar10, fashion_mnist, mnist
from datamodules.sources.benchmark_files import BenchmarkFiles

NAMES = (("one", "one.gz"), ("two",))


class Fetched:
    """Replaces torchvision's class; writes the given files."""

    def __init__(self, *names: str, error: Exception | None = None) -> None:
        self.names, self.error, self.calls = names, error, 0

    def __call__(self, root: Path, download: bool) -> None:
        assert download
        self.calls += 1
        if self.error:
            raise self.error
        (root / "below").mkdir(exist_ok=True)
        for name in self.names:
            (root / "below" / name).touch()


def touch(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


@pytest.mark.parametrize("place", ["", "below"])
@pytest.mark.parametrize("first", ["one", "one.gz"])
@pytest.mark.parametrize("download", [False, True])
def test_files_that_are_there_are_found_and_not_fetched(tmp_path: Path, place: str, first: str, download: bool) -> None:
    folder, fetch = touch(tmp_path / place, first, "two"), Fetched()
    assert BenchmarkFiles("Things", "below", NAMES, fetch).folder(str(tmp_path), download) == folder
    assert not fetch.calls


@pytest.mark.parametrize(("there", "missing"), [((), "one"), (("one",), "two"), (("two",), "one")])
def test_without_being_asked_nothing_is_fetched(tmp_path: Path, there: tuple[str, ...], missing: str) -> None:
    touch(tmp_path / "below", *there)
    fetch = Fetched("one", "two")
    files = BenchmarkFiles("Things", "below", NAMES, fetch)
    message = rf"^root: no file '{missing}' in '.*below'\. Give .* \.download=true\.$"
    with pytest.raises(UserError, match=message) as error:
        files.folder(str(tmp_path), download=False)
    assert str(error.value.under("sensitive")).endswith("with sensitive.download=true.")
    assert not fetch.calls
    assert files.folder(str(tmp_path), download=True) == tmp_path / "below" and fetch.calls == 1


def test_a_new_folder_is_made_for_what_is_fetched(tmp_path: Path) -> None:
    root = tmp_path / "data" / "things"
    files = BenchmarkFiles("Things", "below", NAMES, Fetched("one", "two"))
    with pytest.raises(UserError, match=r"^root: no folder at '.*things'"):
        files.folder(str(root), download=False)
    assert not root.exists()
    assert files.folder(str(root), download=True) == root / "below"


def test_a_download_that_fails_or_is_not_whole_is_one_message(tmp_path: Path) -> None:
    broken = BenchmarkFiles("Things", "below", NAMES, Fetched(error=OSError("no route\nto host")))
    with pytest.raises(UserError, match=r"^download: Things could not be downloaded \(no route to host\)\. Try again"):
        broken.folder(str(tmp_path), download=True)
    with pytest.raises(UserError, match=r"^root: no file 'two'"):
        BenchmarkFiles("Things", "below", NAMES, Fetched("one")).folder(str(tmp_path), download=True)


def test_of_several_that_begin_together_one_fetches(tmp_path: Path) -> None:
    fetch = Fetched("one", "two")
    files = BenchmarkFiles("Things", "below", NAMES, fetch)
    threads = [threading.Thread(target=files.folder, args=(str(tmp_path), True)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert fetch.calls == 1


@pytest.mark.parametrize(
    "files", [mnist.Mnist.files, fashion_mnist.FashionMnist.files, cifar10.FILES, celeba.FILES], ids=lambda f: f.title
)
def test_torchvision_lays_them_out_and_fetches_them_so(
    files: BenchmarkFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Torchvision's class is called for all its files, and puts them in the sub-folder that is searched."""
    asked: list[str] = []

    def download(self: object) -> None:
        asked.append(str(getattr(self, "raw_folder", None) or Path(self.root) / self.base_folder))  # type: ignore
        raise OSError("offline")

    monkeypatch.setattr(files.fetch, "download", download)
    with pytest.raises(UserError, match="offline"):
        files.folder(str(tmp_path), download=True)
    assert asked == [str(tmp_path / files.below)]
