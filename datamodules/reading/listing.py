"""Listing a folder with one sub-folder of image files per category."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from PIL import Image as Pillow

from configs.errors import UserError

NAMED = 5  # names that a message lists at most


def existing(path: str, key_name: str) -> Path:
    """The folder that a key gives; UserError if there is no such folder."""
    if not path or not Path(path).is_dir():
        problem = f"no folder at '{path}'" if path else "not given"
        raise UserError(
            f"{key_name}: {problem}. Give a folder with one sub-folder per category (see docs/your-data.md), or use "
            "sensitive.name=digits to try the embedded data."
        )
    return Path(path)


def categories(root: Path, key_name: str) -> tuple[str, ...]:
    """Names of the sub-folders, sorted, without hidden ones; UserError if there is no sub-folder."""
    names = sorted(entry.name for entry in os.scandir(root) if entry.is_dir() and not entry.name.startswith("."))
    if not names:
        raise UserError(
            f"{key_name}: '{root}' has no sub-folder. Put the images of each category into a sub-folder, or give "
            ".name=table and a table of their categories (see docs/your-data.md)."
        )
    return tuple(names)


def image_files(root: Path, key_name: str, *, public: bool) -> list[str]:
    """List the image files of every category; opens no file.

    Hidden files and folders are ignored. Other files that are not images cause a warning. A category without images is
    not an error here: in a sensitive set it says something about a record.

    Args:
        root: the folder with one sub-folder per category.
        key_name: the key or option of the folder, for messages.
        public: whether the warning may give file names.

    Returns:
        Sorted paths relative to the root, `category/.../file`.

    Raises:
        UserError: if the folder has no sub-folder.
    """
    found: list[str] = []
    readable = readable_extensions()
    others = [entry.name for entry in os.scandir(root) if entry.is_file() and not entry.name.startswith(".")]
    for category in categories(root, key_name):
        for folder, folders, files in os.walk(root / category):
            folders[:] = [name for name in folders if not name.startswith(".")]
            here = Path(folder).relative_to(root).as_posix()
            for name in files:
                if not name.startswith("."):
                    image = os.path.splitext(name)[1].lower() in readable
                    (found if image else others).append(f"{here}/{name}")
    if others:
        names = f": {named(sorted(others))}" if public else ", judged by their extensions"
        warnings.warn(f"{key_name}: ignored files that are not images{names}", stacklevel=2)
    return sorted(found)


def without_images(categories: Iterable[str], files: Iterable[str]) -> list[str]:
    """The categories without any file. files: as `image_files` lists them."""
    found = {file.split("/", 1)[0] for file in files}
    return [category for category in categories if category not in found]


def falls_to_testing(relative_path: str, fraction: float) -> bool:
    """Whether a file belongs to the test split; depends only on its name.

    Adding or removing a record therefore never moves another record from one split to the other.

    Args:
        relative_path: the file's path below the root.
        fraction: share of files for testing, in 0..1.
    """
    return name_hash(relative_path) < fraction * 2**64


def name_hash(relative_path: str) -> int:
    """A number in 0..2^64-1 that depends only on a file's name."""
    digest = hashlib.sha256(relative_path.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big")


def named(names: list[str]) -> str:
    """The first NAMED names in quotes."""
    more = ", and more" if len(names) > NAMED else ""
    return ", ".join(f"'{name}'" for name in names[:NAMED]) + more


@cache
def readable_extensions() -> frozenset[str]:
    """Extensions, in lower case, of the formats that Pillow can open."""
    return frozenset(end for end, kind in Pillow.registered_extensions().items() if kind in Pillow.OPEN)
