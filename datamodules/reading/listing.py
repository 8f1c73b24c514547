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
from datamodules.reading.walking import files_below, is_folder, leads_nowhere, passed_over

NAMED = 5  # names that a message lists at most
NEVER_DECODED = frozenset(("BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"))  # Pillow only knows of them
UNREAD_PHOTOGRAPHS = frozenset((".heic", ".heif", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".dcm", ".svs"))


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
    """Names of the sub-folders, sorted, without hidden ones and those that programs leave behind.

    Raises:
        UserError: if there is no sub-folder, a link leads nowhere, or a name cannot be shown.
    """
    with os.scandir(root) as found:
        entries = [entry for entry in found if not passed_over(entry.name)]
    gone = sorted(entry.name for entry in entries if leads_nowhere(entry) and not has_image_extension(entry.name))
    if gone:
        raise UserError(f"{key_name}: in '{root}', {named(gone)}: a link that leads nowhere. Restore or remove it.")
    names = sorted(entry.name for entry in entries if is_folder(entry))
    if not names:
        raise UserError(
            f"{key_name}: '{root}' has no sub-folder. Put the images of each category into a sub-folder, or give "
            ".name=table and a table of their categories (see docs/your-data.md)."
        )
    odd = [name for name in names if not name.isprintable()]
    if odd:
        raise UserError(
            f"{key_name}: '{root}' has a sub-folder whose name is not UTF-8 or has control characters: "
            f"{odd[0]!a}. Names of categories are published; rename it."
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
        UserError: as `categories`.
    """
    found: list[str] = []
    with os.scandir(root) as entries:
        others = [entry.name for entry in entries if not is_folder(entry) and not passed_over(entry.name)]
    for category in categories(root, key_name):
        for path, opens in files_below(root / category, category):
            (found if opens and has_image_extension(path) else others).append(path)
    if others:
        names = f": {named(sorted(others))}" if public else ", judged by their extensions"
        warnings.warn(f"{key_name}: ignored files that are not images{names}{to_convert(others)}", stacklevel=2)
    return sorted(found)


def to_convert(names: Iterable[str]) -> str:
    """What to say of photographs in formats that are not read; '' if there is none."""
    ends = sorted({os.path.splitext(name)[1].lower() for name in names} & UNREAD_PHOTOGRAPHS)
    return (
        f"; photographs in formats that are not read ({', '.join(ends)}): convert them to PNG or JPEG" if ends else ""
    )


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
    claimed = Pillow.registered_extensions().items()
    return frozenset(end for end, kind in claimed if kind in Pillow.OPEN and kind not in NEVER_DECODED)


def has_image_extension(name: str) -> bool:
    """Whether a file is an image, judged by its extension."""
    return os.path.splitext(name)[1].lower() in readable_extensions()
