"""Files below a folder, whatever else is there."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from configs.errors import UserError
from datamodules.reading.listing import categories, image_files
from datamodules.reading.walking import files_below


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def listed(root: Path) -> list[str]:
    return image_files(root, "root", public=False)


def test_links_to_folders_are_followed_but_not_back_up(tmp_path: Path) -> None:
    touch(tmp_path / "disk", "x/2.png", "3.png")
    touch(tmp_path / "data", "cat/1.png", "dog/1.png")
    (tmp_path / "data" / "cat" / "more").symlink_to(tmp_path / "disk")
    (tmp_path / "data" / "bird").symlink_to(tmp_path / "disk" / "x")
    (tmp_path / "data" / "cat" / "up").symlink_to("..")
    (tmp_path / "data" / "cat" / "here").symlink_to(".")
    assert listed(tmp_path / "data") == ["bird/2.png", "cat/1.png", "cat/more/3.png", "cat/more/x/2.png", "dog/1.png"]


def test_an_image_whose_link_leads_nowhere_does_not_vanish(tmp_path: Path) -> None:
    touch(tmp_path, "cat/1.png")
    (tmp_path / "cat" / "2.png").symlink_to("gone.png")
    (tmp_path / "cat" / "3.png").symlink_to("3.png")
    assert listed(tmp_path) == ["cat/1.png", "cat/2.png", "cat/3.png"]


@pytest.mark.parametrize("target", ["gone", "latest"])
def test_a_category_whose_link_leads_nowhere_is_refused(target: str, tmp_path: Path) -> None:
    touch(tmp_path, "cat/1.png")
    (tmp_path / "latest").symlink_to(target)
    with pytest.raises(UserError, match="'latest': a link that leads nowhere"):
        categories(tmp_path, "root")


@pytest.mark.filterwarnings("ignore:root. ignored files")
def test_pipes_and_sockets_are_not_opened(tmp_path: Path) -> None:
    touch(tmp_path, "cat/1.png")
    os.mkfifo(tmp_path / "cat" / "pipe.png")
    with socket.socket(socket.AF_UNIX) as listening:
        folder = os.open(tmp_path / "cat", os.O_RDONLY)
        listening.bind(f"/proc/self/fd/{folder}/pipe2.png")
        os.close(folder)
        assert listed(tmp_path) == ["cat/1.png"]
    assert dict(files_below(tmp_path / "cat", "cat")) == {
        "cat/1.png": True,
        "cat/pipe.png": False,
        "cat/pipe2.png": False,
    }


def test_what_programs_leave_behind_is_passed_over(tmp_path: Path) -> None:
    touch(tmp_path, "cat/1.png", "cat/@eaDir/1.png", "@eaDir/cat/1.png", "__MACOSX/cat/._1.png", "lost+found/x.png")
    assert categories(tmp_path, "root") == ("cat",) and listed(tmp_path) == ["cat/1.png"]


def test_photographs_in_formats_that_are_not_read_are_named_by_format(tmp_path: Path) -> None:
    touch(tmp_path, "cat/1.png", "cat/IMG_1.HEIC", "cat/features.h5")
    with pytest.warns(UserWarning, match=r"\(\.heic\): convert them to PNG or JPEG") as caught:
        assert image_files(tmp_path, "root", public=False) == ["cat/1.png"]
    assert "IMG" not in str(caught[0].message)


@pytest.mark.parametrize("name", [b"caf\xe9", b"cat\nblack", b"\x1b[31m"])
def test_a_category_that_cannot_be_shown_is_refused(name: bytes, tmp_path: Path) -> None:
    os.mkdir(os.path.join(os.fsencode(tmp_path), name))
    with pytest.raises(UserError, match="not UTF-8 or has control characters") as caught:
        categories(tmp_path, "root")
    assert str(caught.value).isprintable()
