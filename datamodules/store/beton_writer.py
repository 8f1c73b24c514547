"""Writing a `.beton` page by page, so that a process that was killed goes on where it was."""

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

NOTE_SECONDS = 10.0  # between two notes of how far it is


@dataclass
class Progress:
    """How far a store is: files looked at, and the numbers of those among them that could not be read."""

    done: int = 0
    unreadable: list[int] = field(default_factory=list)

    @property
    def written(self) -> int:
        """Images in the pages."""
        return self.done - len(self.unreadable)


class BetonWriter:
    """Images of a fixed list of files, appended in order to `.NAME.partial` beside the file that they will become.

    A note beside it says how far the pages on the disk are; with the same `purpose` the next writer goes on from there,
    with another one it starts anew. FFCV's own DatasetWriter is not used: it waits forever where one of its processes
    has died (a full disk is enough), cannot go on, and puts the images in an order that depends on timing. Raises
    UserError where the disk is full, may not be written, or another process is at work on the same file.
    """

    def __init__(self, path: Path, layout: Layout, purpose: str) -> None:
        self.path = path
        self.partial = path.with_name(f".{path.name}.partial")
        self.note = path.with_name(f".{path.name}.partial.json")
        self.layout = layout
        self.purpose = purpose
        self.progress = Progress()
        self._noted_at = time.monotonic()

    def __enter__(self) -> BetonWriter:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.note.is_file() and self.path.is_file():  # it ended between the last two steps
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
            self.progress = Progress(noted["done"], noted["unreadable"])
        else:
            os.ftruncate(self._file, 0)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        os.close(self._file)

    def free_space_needed(self) -> int:
        """Bytes that the file will take beyond what it takes now."""
        return self.layout.size(self.layout.capacity) - os.fstat(self._file).st_blocks * 512

    def append(self, images: np.ndarray, readable: np.ndarray) -> None:
        """The next files' images, uint8 [B, C, H, W], and which of them are images at all, bool [B]."""
        numbers = self.progress.written + np.arange(np.count_nonzero(readable))
        self._write_images(images[readable], self.layout.places(numbers))
        self.progress.unreadable += (self.progress.done + np.flatnonzero(~readable)).tolist()
        self.progress.done += len(images)
        if time.monotonic() - self._noted_at >= NOTE_SECONDS:
            self.keep()

    def keep(self) -> None:
        """Make what is written durable, so that the next writer goes on from here."""
        self._sync()
        here: dict[str, Any] = {
            "purpose": self.purpose, "done": self.progress.done, "unreadable": self.progress.unreadable
        }  # fmt: skip
        atomic_json(self.note, here)
        self._noted_at = time.monotonic()

    def finish(self, labels: np.ndarray, name_hashes: np.ndarray) -> int:
        """Write the tables (int64, one value an image written), put the file in its place, return its size in bytes.

        The note stays until `forget`: a store whose side file is not there yet is finished by the next writer.
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
        """Remove the note: nothing is left to do."""
        self.note.unlink(missing_ok=True)

    def _write_images(self, images: np.ndarray, places: np.ndarray) -> None:
        """Images that follow one another within a page go to the disk at once."""
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
