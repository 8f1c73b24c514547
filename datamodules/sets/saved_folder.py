"""A folder of arrays and small JSON files that appears whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np


def save_folder(folder: str | Path, arrays: Mapping[str, np.ndarray], values: Mapping[str, Any]) -> None:
    """Write arrays and plain values to a folder; an older folder of that name is replaced.

    Args:
        folder: the folder to write.
        arrays: file name (`….npy`) to array.
        values: file name (`….json`) to plain value.

    Raises:
        OSError: if they cannot be written; then nothing is left behind.
    """
    folder = Path(folder)
    partial = folder.with_name(f".{folder.name}.partial-{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        for name, array in arrays.items():
            with open(partial / name, "wb") as file:
                np.save(file, array)
                _sync(file)
        for name, value in values.items():
            with open(partial / name, "w", encoding="utf-8") as text:
                json.dump(value, text, ensure_ascii=False)
                _sync(text)
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(partial, folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _sync(file: IO) -> None:
    file.flush()
    os.fsync(file.fileno())
