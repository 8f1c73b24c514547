"""How a data set is laid out, judged by the names of its files alone: no image is opened."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from configs.errors import UserError
from datamodules.reading.idx import find_idx, read_shape
from datamodules.reading.label_table import SUFFIXES, columns, read_rows
from datamodules.reading.listing import categories, has_image_extension, image_files
from datamodules.reading.npz_arrays import array_shape, read_array
from datamodules.reading.walking import folders_in

TRAINING, TESTING, VALIDATION = ("train", "training"), ("test", "testing"), ("valid", "val", "validation", "dev")
FILE_COLUMNS = ("file_name", "filename", "file", "image", "path", "image_path", "img", "id")
LABEL_COLUMNS = ("label", "labels", "class", "category", "target", "diagnosis")


@dataclass(frozen=True)
class Layout:
    """What a folder or file holds, and the keys of the source that reads it."""

    source: str
    """Name of the source."""
    keys: dict[str, Any]
    """Its keys."""
    class_names: tuple[str, ...]
    """Names of the categories."""
    records: int
    """Number of training images."""
    tests: int | None = None
    """Number of test images; None if a share of the training images will be kept for testing."""
    first: Path | None = None
    """The first image file by name."""
    notes: tuple[str, ...] = field(default=())
    """What was passed over or is read in another way than one may expect, a sentence each."""

    def noting(self, *notes: str) -> Layout:
        """The same layout with more notes."""
        return replace(self, notes=(*self.notes, *notes))


def recognise(path: Path) -> Layout:
    """The layout of a data set.

    Args:
        path: a folder, or an .npz file.

    Raises:
        UserError: if it is none of the layouts that are known; the message lists them.

    Sensitive: reads names of files and, if there is one, the table of labels. The names of categories and the number
    of records are public by declaration once they are in a configuration.
    """
    if not path.exists():
        raise UserError(f"there is no folder or file '{path}'.")
    for finder in FINDERS:
        found = finder(path)
        if found is not None:
            return found
    raise UserError(
        f"'{path}' has no layout that is known. Known are: a sub-folder of images per category; train/ and test/ (or "
        "valid/) with one each; images with a table of their categories (.csv with a header, .jsonl); MNIST's four idx "
        "files; an .npz file as of MedMNIST."
    )


def npz_file(path: Path) -> Layout | None:
    """An .npz file as of MedMNIST. Its labels are numbers, whose names are not known."""
    if path.suffix != ".npz" or not path.is_file():
        return None
    labels = read_array(path, "train_labels")
    if labels.ndim == 2 and labels.shape[1] > 1:
        raise UserError(f"'{path}' has several labels per image, which is not supported.")
    names = tuple(str(number) for number in range(int(labels.max(initial=0)) + 1))
    splits = {split: array_shape(path, f"{split}_images")[0] for split in ("train", "test")}
    keys = {"file": str(path), "classes": list(names)}
    note = "The categories are numbered; give them names in sensitive.classes."
    return Layout("npz", keys, names, splits["train"], splits["test"], notes=(note,))


def idx_files(path: Path) -> Layout | None:
    """MNIST's four idx files."""
    try:
        train, test = (read_shape(find_idx(path, f"{split}-labels", 1))[0] for split in ("train", "t10k"))
    except UserError:
        return None
    names = tuple(map(str, range(10)))
    note = "Idx files have no names of categories: they are numbered from 0 to 9, as those of MNIST."
    return Layout("mnist", {"root": str(path)}, names, train, test, notes=(note,))


def tables(path: Path) -> Layout | None:
    """Images with a table of their categories; or a folder of such for each split, as Hugging Face's `imagefolder`."""
    parts = split_folders(path)
    if parts is None:
        return one_table(path) if path.is_dir() else None
    train = one_table(parts.train)
    test = one_table(parts.test) if parts.test else None
    if train is None:
        return None
    if test is None:
        return train.noting(*parts.notes)
    names = tuple(sorted({*train.class_names, *test.class_names}))
    keys = train.keys | {
        "classes": list(names),
        "test_root": test.keys["root"],
        "test_labels_file": test.keys["labels_file"],
    }
    return replace(train, keys=keys, class_names=names, tests=test.records).noting(*parts.notes)


def one_table(path: Path) -> Layout | None:
    """A folder with one table, whose rows name images in it or in a folder next to the table."""
    found = sorted(entry for entry in path.iterdir() if entry.suffix.lower() in SUFFIXES and entry.is_file())
    named = [table for table in found if table.stem == "metadata"] or found
    if len(named) != 1:
        return None
    names = columns(named[0], "labels_file")
    file_column = next((name for known in FILE_COLUMNS for name in names if name.lower() == known), None)
    label_column = next((name for known in LABEL_COLUMNS for name in names if name.lower() == known), None)
    if file_column is None or label_column is None:
        return None
    rows = read_rows(named[0], file_column, label_column, "labels_file")
    roots = [path, *(path / name for name in folders_in(path))]
    root = next((root for root in roots if rows and (root / rows[0].file).is_file()), None)
    if root is None:
        return None
    labels = tuple(sorted({row.label for row in rows}))
    keys = {"root": str(root), "labels_file": str(named[0]), "file_column": file_column, "label_column": label_column}
    keys["classes"] = list(labels)  # type: ignore[assignment]
    notes = [f"Categories are from the column '{label_column}' of {named[0].name}; check that they may be public."]
    if {name for name in os.listdir(root) if has_image_extension(name)} - {row.file for row in rows}:
        notes.append(f"Images without a row in {named[0].name} are left out.")
    return Layout("table", keys, labels, len(rows), first=root / min(row.file for row in rows), notes=tuple(notes))


def splits(path: Path) -> Layout | None:
    """A folder for each split, with a sub-folder per category."""
    parts = split_folders(path)
    train = class_folders(parts.train) if parts else None
    if parts is None or train is None:
        return None
    test = class_folders(parts.test) if parts.test else None
    if test is None:
        return train.noting(*parts.notes)
    keys = {"root": str(parts.train), "test_root": str(parts.test)}
    return replace(train, keys=keys, tests=test.records).noting(*parts.notes)


def wrapped(path: Path) -> Layout | None:
    """A folder that holds nothing but the folder with the data set."""
    inner = only_folder(path)
    return recognise(inner).noting(f"Everything is inside of '{inner.name}'.") if inner is not None else None


def class_folders(path: Path) -> Layout | None:
    """A sub-folder of images per category."""
    if not path.is_dir() or not folders_in(path):
        return None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        files = image_files(path, "root", public=False)
    if not files:
        return None
    notes = tuple(f"The listing {str(warning.message).removeprefix('root: ')}." for warning in caught)
    names = categories(path, "root")
    return Layout("folder", {"root": str(path)}, names, len(files), first=path / files[0], notes=notes)


@dataclass(frozen=True)
class Splits:
    """The folders of a data set that is split."""

    train: Path
    """For training."""
    test: Path | None
    """For testing."""
    notes: tuple[str, ...]
    """What is done with the others."""


def split_folders(path: Path) -> Splits | None:
    """The folders of the splits, if the sub-folders of a folder are splits and nothing else."""
    names = {name.lower(): name for name in folders_in(path)} if path.is_dir() else {}
    if not names or not set(names) <= {*TRAINING, *TESTING, *VALIDATION}:
        return None
    train, test, valid = (
        next((path / names[name] for name in kind if name in names), None) for kind in (TRAINING, TESTING, VALIDATION)
    )
    if train is None or (not any(folders_in(train)) and not tables_in(train)):
        return None
    if test is None and valid is not None:
        return Splits(train, valid, (f"'{valid.name}' is used for testing, since there is no test folder.",))
    notes = () if valid is None else (f"'{valid.name}' is not used. Move its images to '{train.name}' if they may be.",)
    return Splits(train, test, notes)


def only_folder(path: Path) -> Path | None:
    """The only sub-folder, if there is no image next to it and it has sub-folders but no image itself."""
    folders = folders_in(path) if path.is_dir() else []
    if len(folders) != 1 or images_in(path):
        return None
    inner = path / folders[0]
    return inner if folders_in(inner) and not images_in(inner) else None


def misread(root: Path) -> str | None:
    """Why the sub-folders of a folder are not its categories, and which keys read it right; None if they may be."""
    parts = split_folders(root)
    if parts is not None and folders_in(parts.train):
        keys = f".root={parts.train}" + (f" .test_root={parts.test}" if parts.test else "")
        return f"the sub-folders of '{root}' are splits, not categories. Give {keys}."
    inner = only_folder(root)
    if inner is not None:
        return (
            f"'{root}' has one sub-folder, whose own sub-folders look like the categories. Give .root={inner}. If it "
            "is one category, put its images directly into it."
        )
    return None


def images_in(path: Path) -> bool:
    """Whether an image file is directly in a folder."""
    return any(map(has_image_extension, os.listdir(path)))


def tables_in(path: Path) -> bool:
    """Whether a table is directly in a folder."""
    return any(Path(name).suffix.lower() in SUFFIXES for name in os.listdir(path))


FINDERS: Sequence[Callable[[Path], Layout | None]] = (npz_file, idx_files, tables, splits, wrapped, class_folders)
"""Each knows one layout. The first that recognises a folder is right, so the more particular ones come first."""
