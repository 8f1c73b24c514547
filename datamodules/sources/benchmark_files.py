"""Where the files of a public benchmark are, and how they are downloaded on request."""

from __future__ import annotations

import fcntl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from configs.errors import UserError


@dataclass(frozen=True)
class BenchmarkFiles:
    """The files of a public benchmark."""

    title: str
    """The common name of the benchmark."""
    below: str
    """The sub-folder in which torchvision keeps the files."""
    names: tuple[tuple[str, ...], ...]
    """For every file or folder that must exist: the names that it may have, the usual one first."""
    fetch: Callable[..., Any]
    """Torchvision's class, which downloads the benchmark with `fetch(root, download=True)`."""

    def folder(self, root: str, download: bool) -> Path:
        """The folder that has all files: `root` itself, or torchvision's folder in it.

        Args:
            root: where to look.
            download: whether to download missing files; otherwise nothing is ever downloaded.

        Raises:
            UserError: if a file is missing; says which, where it was looked for, and how to get it.
        """
        found = self._complete(Path(root))
        if found is None and download:
            self._download(Path(root))
            found = self._complete(Path(root))
        if found is None:
            raise self._missing(Path(root))
        return found

    def _complete(self, root: Path) -> Path | None:
        return next((place for place in (root / self.below, root) if self._lacking(place) is None), None)

    def _lacking(self, place: Path) -> str | None:
        """The usual name of the first missing file; None if no file is missing."""
        return next((names[0] for names in self.names if not any((place / name).exists() for name in names)), None)

    def _missing(self, root: Path) -> UserError:
        advice = (
            f"Give the folder that holds {self.title}, or one with '{self.below}' in it (see docs/benchmark-data.md), "
            "or download it with .download=true."
        )
        if not root.is_dir():
            return UserError(f"root: no folder at '{root}'. {advice}")
        place = root / self.below if (root / self.below).is_dir() else root
        return UserError(f"root: no file '{self._lacking(place)}' in '{place}'. {advice}")

    def _download(self, root: Path) -> None:
        try:
            root.mkdir(parents=True, exist_ok=True)
            with open(root / ".download.lock", "w") as lock:
                fcntl.flock(
                    lock, fcntl.LOCK_EX
                )  # the processes of a job start together: one downloads, the others wait
                if self._complete(root) is None:
                    self.fetch(root, download=True)
        except Exception as error:  # networks, archives and disks fail in many ways
            reason = " ".join(str(error).split()) or type(error).__name__
            raise UserError(
                f"download: {self.title} could not be downloaded ({reason}). Try again, or put its files into '{root}' "
                "yourself (see docs/benchmark-data.md)."
            ) from error
