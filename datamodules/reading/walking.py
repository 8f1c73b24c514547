"""The files below a folder, with links followed and without what programs leave behind."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

LEFT_BEHIND = frozenset(
    ("@eadir", "#recycle", "#snapshot", "__macosx", "$recycle.bin", "lost+found", "system volume information")
)
"""Folders of network drives, archivers and file systems, in lower case."""


def passed_over(name: str) -> bool:
    """Whether a file or folder is no part of a data set: hidden, or left behind by a program."""
    return name.startswith(".") or name.lower() in LEFT_BEHIND


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder, or a link to one; a link that leads nowhere or to itself is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def leads_nowhere(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a link whose target is gone, or that names itself."""
    try:
        return entry.is_symlink() and not os.path.exists(entry.path)
    except OSError:
        return True


def files_below(folder: Path, relative: str) -> Iterator[tuple[str, bool]]:
    """The files below a folder, in no order.

    Links to folders are followed, except to one that the link itself is in. A link whose target is gone is a file,
    which then cannot be read: an image must not vanish unseen.

    Args:
        folder: the folder.
        relative: what the paths begin with.

    Yields:
        The path of each file, and whether it can be opened without harm: pipes, sockets and devices cannot.
    """
    yield from _below(str(folder), relative, frozenset([_identity(folder.parent)]))


def folders_in(path: Path) -> list[str]:
    """Names of the folders in a folder, sorted, without those that are passed over."""
    with os.scandir(path) as entries:
        return sorted(entry.name for entry in entries if is_folder(entry) and not passed_over(entry.name))


def _below(folder: str, relative: str, above: frozenset[tuple[int, int]]) -> Iterator[tuple[str, bool]]:
    here = _identity(folder)
    if here in above:
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            path = f"{relative}/{entry.name}"
            if passed_over(entry.name):
                continue
            if is_folder(entry):
                yield from _below(entry.path, path, above | {here})
            else:
                yield path, leads_nowhere(entry) or entry.is_file()


def _identity(folder: str | Path) -> tuple[int, int]:
    status = os.stat(folder)
    return status.st_dev, status.st_ino
