"""What a power cut would leave on the disk: contents and names as they were last synced, nothing else."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

Node = tuple[int, int]


class Disk:
    """Watches `os.fsync` from its creation until the test ends."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._contents: dict[Node, bytes] = {}
        self._names: dict[Node, dict[str, Node]] = {}
        sync = os.fsync

        def watched(descriptor: int) -> None:
            sync(descriptor)
            self._synced(descriptor)

        monkeypatch.setattr(os, "fsync", watched)

    def left(self, path: Path) -> bytes | None:
        """What a power cut now would leave of a file: its content, b"" if only its name, None if not even its name."""
        node = self._names.get(_node(os.stat(path.parent)), {}).get(path.name)
        return None if node is None else self._contents.get(node, b"")

    def content(self, path: Path) -> bytes | None:
        """The content that was last synced of an existing file, under any name; None if nothing was synced."""
        return self._contents.get(_node(os.stat(path)))

    def holds(self, path: Path) -> bool:
        """Whether a power cut now would leave a file as it is."""
        return self.left(path) == path.read_bytes()

    def _synced(self, descriptor: int) -> None:
        found = os.fstat(descriptor)
        if stat.S_ISDIR(found.st_mode):
            with os.scandir(descriptor) as entries:
                nodes = {entry.name: _node(entry.stat(follow_symlinks=False)) for entry in entries}
            self._names[_node(found)] = nodes
        else:
            self._contents[_node(found)] = Path(f"/proc/self/fd/{descriptor}").read_bytes()


def _node(found: os.stat_result) -> Node:
    return found.st_dev, found.st_ino
