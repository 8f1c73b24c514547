"""A file of hash-chained JSON lines: append-only, durable line by line, and a change of any byte is noticed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from configs.errors import UserError
from configs.files import sync_folder

GENESIS = "0" * 64  # the first line's `previous`


class LedgerError(UserError):
    """The ledger is damaged, belongs to another run, or refuses a request."""


class Chain:
    """The verified lines of a file: dicts with index, time, nonce, kind, a payload, previous and hash.

    `hash` is SHA-256 over the line's canonical JSON without the key `hash`. Hashes are published, times are not. A
    nonce is drawn for each line, so nobody can find the time by trying which one gives the hash. The chain shows damage
    and careless edits. A rewritten or shortened file is noticed by the heads that checkpoints keep.

    Args:
        path: of the file.
        entries: its verified lines, in order.
        size: bytes of these lines in the file.
    """

    def __init__(self, path: Path, entries: list[dict[str, Any]], size: int) -> None:
        self.path = path
        self.entries = entries
        self._size = size

    @classmethod
    def read(cls, path: Path, *, repair: bool) -> Chain:
        """The lines of `path`, verified. A torn last line is left out, with a warning.

        Args:
            repair: whether to move a torn last line to a file next to `path`.

        Raises:
            LedgerError: if the file is missing or cannot be read, or a line is wrong; says which line.
            UserError: if a torn line cannot be moved.
        """
        try:
            content = path.read_bytes()
        except OSError as error:
            raise LedgerError(f"{path}: the ledger cannot be read ({error.strerror}). {_RESTORE}") from error
        whole, torn = _split(content)
        entries: list[dict[str, Any]] = []
        for line in whole.splitlines(keepends=True):
            previous = entries[-1]["hash"] if entries else GENESIS
            entries.append(_verified(path, line, len(entries), previous))
        chain = cls(path, entries, len(whole))
        if torn:
            chain._set_aside(torn, repair)
        return chain

    @classmethod
    def create(cls, path: Path) -> Chain:
        """A new, empty, durable file with mode 0600; an existing empty file is taken.

        Raises:
            UserError: if the file cannot be created.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
            sync_folder(path.parent)
        except OSError as error:
            raise UserError(f"{path}: the ledger cannot be created ({error.strerror})") from error
        return cls(path, [], 0)

    @property
    def head(self) -> str:
        """The hash of the last line; GENESIS if there is no line."""
        head: str = self.entries[-1]["hash"] if self.entries else GENESIS
        return head

    def append(self, kind: str, **payload: Any) -> dict[str, Any]:
        """Add a line and return it once it is on the disk.

        Args:
            kind: of the line, such as "reserve".
            payload: the line's own keys; values that JSON can hold.

        Raises:
            UserError: if the line cannot be written; nothing is entered then.
            LedgerError: if another process has written to the file in the meantime.
        """
        entry = {
            "index": len(self.entries),
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "nonce": os.urandom(16).hex(),
            "kind": kind,
            **payload,
            "previous": self.head,
        }
        entry["hash"] = _digest(entry)
        line = _canonical(entry) + b"\n"
        try:
            self._write(line)
        except OSError as error:
            raise UserError(
                f"{self.path}: the ledger could not be written ({error.strerror}); nothing was entered. "
                "Free some space or repair the disk, then run the same command again."
            ) from error
        self.entries.append(entry)
        self._size += len(line)
        return entry

    def _write(self, line: bytes) -> None:
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        try:
            if os.fstat(descriptor).st_size != self._size:
                raise LedgerError(
                    f"{self.path}: the ledger was changed by somebody else while this process had it open. "
                    "Make sure that no second process works on this run, then run the same command again."
                )
            try:
                rest = line
                while rest:
                    rest = rest[os.write(descriptor, rest) :]
                os.fsync(descriptor)
            except OSError:
                with contextlib.suppress(OSError):  # if this fails too, the rest is a torn line: set aside later
                    os.ftruncate(descriptor, self._size)
                    os.fsync(descriptor)
                raise
        finally:
            os.close(descriptor)

    def _set_aside(self, torn: bytes, repair: bool) -> None:
        where = "left out"
        if repair:
            aside = self.path.with_name(f"{self.path.name}.torn-{time.time_ns()}")
            try:
                with open(aside, "xb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
                    file.write(torn)
                    file.flush()
                    os.fsync(file.fileno())
                with open(self.path, "r+b") as file:
                    file.truncate(self._size)
                    os.fsync(file.fileno())
            except OSError as error:
                raise UserError(f"{aside}: the ledger's torn line cannot be set aside ({error.strerror})") from error
            where = f"moved to {aside.name}"
        warnings.warn(
            f"{self.path}: a crash interrupted the writing of the last line. Nothing had been drawn from it; "
            f"the torn line is {where}.",
            stacklevel=4,
        )


_RESTORE = "Restore the file from a backup, or start a new run under another run.name."


def _split(content: bytes) -> tuple[bytes, bytes]:
    """Whole lines, and a torn last one: it has no line end, or contains blocks of zeros that a crash left."""
    whole, newline, torn = content.rpartition(b"\n")
    whole += newline
    if not torn:
        before, newline, last = whole[:-1].rpartition(b"\n")
        if bytes(16) in last:
            return before + newline, last + b"\n"
    return whole, torn


def _verified(path: Path, line: bytes, index: int, previous: str) -> dict[str, Any]:
    def wrong(what: str) -> LedgerError:
        return LedgerError(f"{path}, line {index + 1}: {what}; the ledger was changed after it was written. {_RESTORE}")

    try:
        entry = json.loads(line)
        canonical = _canonical(entry)
    except ValueError:
        raise wrong("this is not JSON") from None
    if not isinstance(entry, dict) or not isinstance(entry.get("kind"), str):
        raise wrong("this is not an entry")
    # Byte for byte, so that not even a blank can be added.
    if entry.get("hash") != _digest(entry) or canonical + b"\n" != line:
        raise wrong("its contents do not match its hash")
    if entry.get("index") != index or entry.get("previous") != previous:
        raise wrong("it does not follow the line before it")
    return entry


def _canonical(entry: Any) -> bytes:
    return json.dumps(entry, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def _digest(entry: dict[str, Any]) -> str:
    return hashlib.sha256(_canonical({k: v for k, v in entry.items() if k != "hash"})).hexdigest()
