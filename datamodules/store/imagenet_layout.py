"""How the folder of a public data set is organised: where its images are, and what its categories are called."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from configs.errors import UserError

FolderLayout = Callable[[Path], tuple[Path, dict[str, str]]]
"""For a given folder: the folder below it that has the class folders, and better names for some class folders."""

TRAINING = ("ILSVRC/Data/CLS-LOC/train", "Data/CLS-LOC/train", "train")
NAMES = ("LOC_synset_mapping.txt", "synset_words.txt", "words.txt")  # of Kaggle, Caffe and WordNet
LINE = re.compile(r"(n\d{8})\s+(.+)")


def imagenet(source: Path) -> tuple[Path, dict[str, str]]:
    """ImageNet as it is distributed: training images by synset, and the first name of each synset if there is a list.

    The list may be in the training folder or in a folder above it, up to `source`. If `source` itself has the class
    folders, it is used as it is.
    """
    root = next((source / name for name in TRAINING if (source / name).is_dir()), source)
    folders = [root, *(parent for parent in root.parents if parent.is_relative_to(source))]
    found = next((path for folder in folders for name in NAMES if (path := folder / name).is_file()), None)
    return root, read_names(found) if found else {}


def folder(source: Path) -> tuple[Path, dict[str, str]]:
    """Any folder with one sub-folder per category; a category is called as its sub-folder."""
    return source, {}


LAYOUTS: dict[str, FolderLayout] = {"imagenet": imagenet, "folder": folder}


def read_names(path: Path) -> dict[str, str]:
    """The first name of each synset in a list of lines like `n01440764 tench, Tinca tinca`.

    Raises:
        UserError: if the file cannot be read, or has no such line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read the names of categories in '{path}': {error}. Fix or remove it.") from error
    found = {match[1]: match[2].split(",")[0].strip() for line in lines if (match := LINE.match(line))}
    if not found:
        raise UserError(f"'{path}' has no line such as 'n01440764 tench, Tinca tinca'. Fix or remove it.")
    return found


def class_names(categories: Sequence[str], names: dict[str, str]) -> tuple[str, ...]:
    """What each category is called.

    Args:
        categories: names of the class folders.
        names: better names for some of them.

    Returns:
        One name per category; if several have the same one ("crane"), the folder's name follows in brackets.
    """
    given = [names.get(category, category) for category in categories]
    often = Counter(given)
    return tuple(
        name if often[name] == 1 else f"{name} ({category})" for name, category in zip(given, categories, strict=True)
    )
