"""Arrays of an .npz file."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from configs.errors import UserError

DAMAGE = (OSError, KeyError, ValueError, zipfile.BadZipFile, EOFError)


def array_shape(path: Path, name: str) -> tuple[int, ...]:
    """The shape of an array in an .npz file, from its header. UserError if it is not there."""
    try:
        with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as file:
            version = np.lib.format.read_magic(file)  # type: ignore[arg-type]
            header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape: tuple[int, ...] = header(file)[0]  # type: ignore[arg-type]
            return shape
    except DAMAGE as error:
        raise damaged(path, name, error) from error


def read_array(path: Path, name: str) -> np.ndarray:
    """An array of an .npz file; pickled objects are refused. UserError if it cannot be read."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            found: np.ndarray = arrays[name]
            return found
    except DAMAGE as error:
        raise damaged(path, name, error) from error


def damaged(path: Path, name: str, reason: Exception) -> UserError:
    """What to say of a file that lacks an array."""
    if not path.is_file():
        return UserError(f"file: there is no file '{path}'. Give an .npz file, such as MedMNIST's.")
    why = f"it has no array '{name}'" if isinstance(reason, KeyError) else str(reason)
    return UserError(
        f"file: '{path}' cannot be read: {why}. It needs train_images, train_labels, test_images and test_labels."
    )
