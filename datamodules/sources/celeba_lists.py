"""CelebA's two lists: the split of each image, and which of the 40 attributes it has."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np

from configs.errors import UserError

SPLITS = {"0": "train", "1": "valid", "2": "test"}


def read_partition(path: Path) -> dict[str, list[str]]:
    """Names of the files of each split (train, valid, test), in the list's order. UserError if the list is damaged."""
    found: dict[str, list[str]] = {split: [] for split in SPLITS.values()}
    for number, line in enumerate(read_lines(path), start=1):
        words = line.split()
        if len(words) != 2 or words[1] not in SPLITS:
            raise damaged(path, f"line {number} is not a file's name and 0, 1 or 2")
        found[SPLITS[words[1]]].append(words[0])
    return found


def attribute_names(path: Path) -> tuple[str, ...]:
    """The names of the attributes, from the second line of their list; reads no more. UserError if it is damaged."""
    try:
        with open(path, encoding="utf-8") as file:
            names = next(islice(file, 1, None), "").split()
    except (OSError, ValueError) as error:
        raise damaged(path, str(error)) from error
    if not names or len(set(names)) != len(names):
        raise damaged(path, "its second line does not list the attributes, each once")
    return tuple(names)


def read_attributes(path: Path) -> dict[str, np.ndarray]:
    """Which attributes each file has.

    Returns:
        File name to bool [A], in the order of `attribute_names`.

    Raises:
        UserError: if the list is cut short or otherwise damaged.
    """
    count = len(attribute_names(path))
    first, _, *lines = read_lines(path)
    if not first.strip().isdigit() or int(first) != len(lines):
        raise damaged(path, f"its first line says '{first.strip()[:20]}', but {len(lines)} lines follow the names")
    found = {}
    for number, line in enumerate(lines, start=3):
        name, *values = line.split() or [""]
        if len(values) != count or values.count("1") + values.count("-1") != count:
            raise damaged(path, f"line {number} is not a file's name and {count} times 1 or -1")
        found[name] = np.array([value == "1" for value in values])
    return found


def read_lines(path: Path) -> list[str]:
    """The lines of a text file, without empty ones at its end. UserError if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8").rstrip().splitlines()
    except (OSError, ValueError) as error:
        raise damaged(path, str(error)) from error


def damaged(path: Path, reason: str) -> UserError:
    """The error for a damaged list."""
    return UserError(f"root: '{path}' cannot be read: {reason}. Download that file again.")
