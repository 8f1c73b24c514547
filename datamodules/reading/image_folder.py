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

NAMED = 5  # names that a message gives


def existing(path: str, key_name: str) -> Path:
    """The folder that a key names; UserError if it is not there."""
    if not path or not Path(path).is_dir():
        problem = f"no folder at '{path}'" if path else "not given"
        raise UserError(
            f"{key_name}: {problem}. Give a folder with one sub-folder per category (see docs/your-data.md), or use "
            "sensitive.name=digits to try the embedded data."
        )
    return Path(path)


def categories(root: Path, key_name: str) -> tuple[str, ...]:
    """Names of the sub-folders, sorted, hidden ones left out; UserError if there are none."""
    names = sorted(entry.name for entry in os.scandir(root) if entry.is_dir() and not entry.name.startswith("."))
    if not names:
        raise UserError(f"{key_name}: '{root}' has no sub-folder. Put the images of each category into one of its own.")
    return tuple(names)


def image_files(root: Path, key_name: str, *, public: bool) -> list[str]:
    """Image files of every category as sorted paths relative to the root ('category/.../file'); opens none.

    Hidden files and folders are passed over; other files are warned about, by name only if the folder is `public`. A
    category may have no images: in a sensitive set that says something of a record.
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
        names = f": {named(sorted(others))}" if public else ", by the ends of their names"
        warnings.warn(f"{key_name}: passed over files that are not images{names}", stacklevel=2)
    return sorted(found)


def without_images(categories: Iterable[str], files: Iterable[str]) -> list[str]:
    """The categories of which no file, of those that `image_files` lists, is one."""
    found = {file.split("/", 1)[0] for file in files}
    return [category for category in categories if category not in found]


def falls_to_testing(relative_path: str, fraction: float) -> bool:
    """Whether a file belongs to the test split: a function of its name alone.

    Adding or removing a record therefore never moves another one from one split to the other.
    """
    return name_hash(relative_path) < fraction * 2**64


def name_hash(relative_path: str) -> int:
    """A number in 0 .. 2^64-1 that is a function of a file's name alone."""
    digest = hashlib.sha256(relative_path.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big")


def named(names: list[str]) -> str:
    """The first few names in quotes."""
    more = ", and more" if len(names) > NAMED else ""
    return ", ".join(f"'{name}'" for name in names[:NAMED]) + more


@cache
def readable_extensions() -> frozenset[str]:
    """Extensions, in small letters, of the formats that Pillow can open."""
    return frozenset(end for end, kind in Pillow.registered_extensions().items() if kind in Pillow.OPEN)
