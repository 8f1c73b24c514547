"""The two sources of a run, and messages that tell them apart."""

from __future__ import annotations

import stat
import traceback
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image as Pillow

from configs.errors import UserError
from configs.loading import load
from datamodules.reading.files_error import FilesError
from datamodules.sources import Source
from launch.components import discreet, images_of, naming, public_source, read, read_sensitive, sensitive_source


@pytest.mark.parametrize(("section", "source"), [("sensitive", sensitive_source), ("public", public_source)])
def test_messages_name_the_section(tmp_path: Path, section: str, source) -> None:
    with pytest.raises(UserError, match=rf"^{section}\.root: no folder at 'nowhere'"):
        source(load("demo", [f"{section}.name=folder", f"{section}.root=nowhere"]))
    (tmp_path / "a").mkdir()
    Pillow.new("L", (9, 9)).save(tmp_path / "a" / "fine.png")
    (tmp_path / "a" / "bad.png").write_text("no image")
    words = [f"{section}.name=folder", f"{section}.root={tmp_path}", f"{section}.test_root={tmp_path}"]
    built = source(load("demo", words))
    with pytest.raises(FilesError, match=rf"^{section}\.root: .*'a/bad\.png'.*corrupt=skip"):
        read(section, built, progress=False)
    with pytest.raises(UserError, match=rf"^{section}\.test_root: .*'a/bad\.png'"):
        read(section, built, test=True, progress=False)
    skipping = source(load("demo", [*words, f"{section}.corrupt=skip"]))
    with pytest.warns(UserWarning, match="unreadable files were skipped"):
        assert len(read(section, skipping, progress=False)) == 1


KINDS = ["folder", "imagenet"]


def built_of(root: Path, kind: str, count: int, *words: str) -> Source:
    """A sensitive source with one good file and `count` files that are not images."""
    for number in range(count):
        (root / "a").mkdir(parents=True, exist_ok=True)
        (root / "a" / f"miss-smith-{number}.png").write_text("no image")
    Pillow.new("L", (9, 9)).save(root / "a" / "mister-jones.png")
    more = ["sensitive.test_fraction=1e-9", *(f"sensitive.{word}" for word in words)]
    return sensitive_source(load("demo", [f"sensitive.name={kind}", f"sensitive.root={root}", *more]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [1, 9])
def test_names_of_sensitive_files_go_to_a_file_of_the_owner(tmp_path: Path, kind: str, count: int) -> None:
    """What a message must not say, its chained exceptions must not say either: a traceback may end up in a log."""
    source, names = built_of(tmp_path / "data", kind, count), tmp_path / "internal" / "names.txt"
    with pytest.raises(UserError, match=r"^sensitive\.root: files that cannot be read as images\.") as caught:
        read_sensitive(source, names, progress=False)
    assert str(names) in str(caught.value) and "a/" not in str(caught.value)
    assert "smith" not in "".join(traceback.format_exception(caught.value))
    listed = [line.partition(": ")[0] for line in names.read_text().splitlines()]
    assert set(listed) <= {f"a/miss-smith-{number}.png" for number in range(count)} and len(listed) >= min(count, 5)
    assert stat.S_IMODE(names.stat().st_mode) == 0o600


@pytest.mark.parametrize("kind", KINDS)
def test_files_of_a_public_benchmark_are_named(tmp_path: Path, kind: str) -> None:
    source = built_of(tmp_path / "data", kind, 1, "public_benchmark=true")
    with pytest.raises(UserError, match=r"^sensitive\.root: .*'a/miss-smith-0\.png'"):
        read_sensitive(source, tmp_path / "names.txt", progress=False)
    assert not (tmp_path / "names.txt").exists()


@pytest.mark.parametrize("seen", [False, True])
def test_without_a_file_for_them_names_are_for_a_person_at_a_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seen: bool
) -> None:
    monkeypatch.setattr("sys.stderr", SimpleNamespace(isatty=lambda: seen))
    source = built_of(tmp_path / "data", "folder", 1)
    with pytest.raises(UserError, match=r"^sensitive\.root: files") as caught, discreet(source), naming("sensitive"):
        images_of(source, test=False, progress=False)
    assert ("smith" in str(caught.value)) is seen


def test_a_public_set_without_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "bad.png").write_text("no image")
    words = ["public.name=folder", f"public.root={tmp_path}", f"public.test_root={tmp_path}", "public.corrupt=skip"]
    with pytest.warns(UserWarning), pytest.raises(UserError, match=r"^public: no image is left"):
        read("public", public_source(load("demo", words)), progress=False)


def test_training_and_test_images_are_told_apart() -> None:
    source = sensitive_source(load("demo"))
    assert (len(read("sensitive", source)), len(read("sensitive", source, test=True))) == (1437, 360)


def test_other_errors_pass_untouched() -> None:
    with pytest.raises(ZeroDivisionError), naming("public"):
        1 / 0  # noqa: B018
