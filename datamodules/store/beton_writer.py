"""Writing a `.beton` page by page, so that the next process resumes where a killed one stopped."""

from __future__ import annotations

import fcntl
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from configs.errors import UserError
from configs.files import atomic_json, read_json, sync_folder, unwritable
from datamodules.store.beton import Layout

NOTE_SECONDS = 10.0  # between two notes on the progress


@dataclass
class WriteProgress:
    """How much of a store is done."""

    done: int = 0
    """Files processed, readable or not."""
    unreadable: list[int] = field(default_factory=list)
    """Numbers of those files that could not be read."""

    @property
    def written(self) -> int:
        """Images in the pages."""
        return self.done - len(self.unreadable)


class BetonWriter:
    """Appends the images of a fixed list of files in order to `.NAME.partial`, next to the final file.

    A note next to it says how many pages are on the disk. A later writer with the same `purpose` resumes there; one
    with another `purpose` starts again. FFCV's own DatasetWriter is not used: it waits forever if one of its processes
    has died (a full disk is enough), it cannot resume, and its order of images depends on timing.

    Args:
        path: the final file.
        layout: its byte layout; the capacity is the number of files.
        purpose: identifies the list of files and the shape of the images.

    Raises:
        UserError: if the disk is full, the folder is not writable, or another process writes the same file.
    """

    def __init__(self, path: Path, layout: Layout, purpose: str) -> None:
        self.path = path
        self.partial = path.with_name(f".{path.name}.partial")
        self.note = path.with_name(f".{path.name}.partial.json")
        self.layout = layout
        self.purpose = purpose
        self.progress = WriteProgress()
        self._noted_at = time.monotonic()

    def __enter__(self) -> BetonWriter:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.note.is_file() and self.path.is_file():  # a process ended between the last two steps
                os.replace(self.path, self.partial)
            self._file = os.open(self.partial, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise unwritable(self.partial, error) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._file)
            raise UserError(f"another process is writing '{self.path}'. Wait for it, or stop it first.") from error
        noted = read_json(self.note, "Remove it.") if self.note.is_file() else {}
        if noted.get("purpose") == self.purpose:
            self.progress = WriteProgress(noted["done"], noted["unreadable"])
        else:
            os.ftruncate(self._file, 0)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        os.close(self._file)

    def free_space_needed(self) -> int:
        """Bytes that the finished file takes on the disk in addition to what the partial one takes now."""
        return self.layout.size(self.layout.capacity) - os.fstat(self._file).st_blocks * 512

    def append(self, images: np.ndarray, readable: np.ndarray) -> None:
        """Append the images of the next files.

        Args:
            images: uint8 [B, C, H, W].
            readable: bool [B], false for a file that is not a readable image.
        """
        numbers = self.progress.written + np.arange(np.count_nonzero(readable))
        self._write_images(images[readable], self.layout.places(numbers))
        self.progress.unreadable += (self.progress.done + np.flatnonzero(~readable)).tolist()
        self.progress.done += len(images)
        if time.monotonic() - self._noted_at >= NOTE_SECONDS:
            self.keep()

    def keep(self) -> None:
        """Make what is written durable, so that the next writer resumes here."""
        self._sync()
        here: dict[str, Any] = {
            "purpose": self.purpose, "done": self.progress.done, "unreadable": self.progress.unreadable
        }  # fmt: skip
        atomic_json(self.note, here)
        self._noted_at = time.monotonic()

    def finish(self, labels: np.ndarray, name_hashes: np.ndarray) -> int:
        """Write the tables and rename the file to its final name.

        The note stays until `forget`, so that the next writer finishes a store whose side file is still missing.

        Args:
            labels: int64 [N], one for each image written.
            name_hashes: int64 [N], one for each image written.

        Returns:
            The size of the file in bytes.
        """
        self.keep()
        count = self.progress.written
        self._write(self.layout.head(labels, name_hashes), 0)
        self._write(self.layout.tail(count), self.layout.allocations(count))
        os.ftruncate(self._file, self.layout.size(count))
        self._sync()
        os.replace(self.partial, self.path)
        sync_folder(self.path.parent)
        return self.layout.size(count)

    def forget(self) -> None:
        """Remove the note, when nothing is left to do."""
        self.note.unlink(missing_ok=True)

    def _write_images(self, images: np.ndarray, places: np.ndarray) -> None:
        """Write images; those that follow one another within a page in one call."""
        borders = np.flatnonzero(np.diff(places.astype(np.int64)) != self.layout.image_bytes) + 1
        for run, start in zip(np.split(images, borders), np.split(places, borders), strict=True):
            if len(run):
                self._write(np.ascontiguousarray(run).tobytes(), int(start[0]))

    def _write(self, content: bytes, place: int) -> None:
        view = memoryview(content)
        try:
            while view:
                done = os.pwrite(self._file, view, place)
                view, place = view[done:], place + done
        except OSError as error:
            raise unwritable(self.path, error) from error

    def _sync(self) -> None:
        try:
            os.fsync(self._file)
        except OSError as error:
            raise unwritable(self.path, error) from error
