"""Durable files: a reader sees the old content or the new, never a part of it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from configs.errors import UserError

DAMAGED = (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile, zlib.error)
"""What reading a damaged `.npz` file may raise."""


def atomic_write(path: Path, write: Callable[[BinaryIO], object], *, mode: int = 0o644) -> None:
    """Write a file next to `path`, flush it to the disk, then replace `path` by it.

    Args:
        path: of the file; missing folders are created.
        write: receives the open binary file.
        mode: permissions of the file.

    Raises:
        UserError: if the disk is full or cannot be written. The old file is then still there.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.tmp")  # one writer a run; a leftover goes with the next write
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise (unwritable(path, error) if isinstance(error, OSError) else error) from error


def atomic_text(path: Path, text: str) -> None:
    """Write a text file durably and as a whole."""
    atomic_write(path, lambda file: file.write(text.encode()))


def atomic_json(path: Path, value: Any) -> None:
    """Write a JSON file durably and as a whole."""
    atomic_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path, advice: str) -> Any:
    """What `atomic_json` wrote. Raises UserError, ending with `advice` (a sentence), if it is missing or damaged."""
    try:
        return json.loads(Path(path).read_text())
    except (OSError, ValueError) as error:
        reason = "it is missing" if isinstance(error, FileNotFoundError) else f"it is damaged ({error})"
        raise UserError(f"cannot read '{path}': {reason}. {advice}") from error


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal digits. Raises OSError if it cannot be read."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_folder(folder: Path) -> None:
    """Make the creation, renaming or removal of a file in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        # Some network file systems refuse to sync a folder; the files in them are synced on their own.
        with contextlib.suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def unwritable(path: Path, error: OSError) -> UserError:
    """The message for a file that could not be written."""
    return UserError(
        f"cannot write '{path}': {error.strerror or error}. Nothing finished so far is lost; free some space or fix "
        "the permissions, then give the same command again."
    )
