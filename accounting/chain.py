"""A file of hash-chained JSON lines: append-only, durable line by line, and no byte of it changes unnoticed."""

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

GENESIS = "0" * 64  # what the first line names as the line before it


class LedgerError(UserError):
    """The ledger is damaged, belongs to another run, or refuses what is asked of it."""


class Chain:
    """The verified lines of a file: dicts with index, time, nonce, kind, a payload, previous and hash.

    `hash` is SHA-256 over the line's canonical JSON without it. Hashes are published, times are not: the nonce, drawn
    for each line, keeps anybody from trying out at which time a line has its hash. The chain shows damage and careless
    edits; against a rewritten or shortened file stand the heads that checkpoints keep.
    """

    def __init__(self, path: Path, entries: list[dict[str, Any]], size: int) -> None:
        self.path = path
        self.entries = entries
        self._size = size  # bytes of whole, verified lines

    @classmethod
    def read(cls, path: Path, *, repair: bool) -> Chain:
        """Verify `path`; a torn last line is left out with a warning and, to `repair`, moved to a file beside it.

        Raises LedgerError for a missing or unreadable file and for anything else that is wrong, with the line's number.
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
        """A new, empty, durable file that its owner alone may read; an empty one that is there already will do."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
            sync_folder(path.parent)
        except OSError as error:
            raise UserError(f"{path}: the ledger cannot be created ({error.strerror})") from error
        return cls(path, [], 0)

    @property
    def head(self) -> str:
        """The hash of the last line."""
        return self.entries[-1]["hash"] if self.entries else GENESIS

    def append(self, kind: str, **payload: Any) -> dict[str, Any]:
        """Add a line and return it once it is on the disk.

        UserError where it cannot be written, and then nothing is entered; LedgerError where another process has
        written in the file meanwhile.
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
                "Make room or mend the disk, then run the same command again."
            ) from error
        self.entries.append(entry)
        self._size += len(line)
        return entry

    def _write(self, line: bytes) -> None:
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        try:
            if os.fstat(descriptor).st_size != self._size:
                raise LedgerError(
                    f"{self.path}: the ledger was changed by somebody else while this process held it. "
                    "Make sure that no second process works on this run, then run the same command again."
                )
            try:
                rest = line
                while rest:
                    rest = rest[os.write(descriptor, rest) :]
                os.fsync(descriptor)
            except OSError:
                with contextlib.suppress(
                    OSError
                ):  # what stays of the line then is torn, and set aside when next opened
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
            f"{self.path}: the last line was torn by a crash while it was written; nothing had been drawn from it, "
            f"and it is {where}.",
            stacklevel=4,
        )


_RESTORE = "Restore the file from a backup, or start a new run under another run.name."


def _split(content: bytes) -> tuple[bytes, bytes]:
    """Whole lines and a torn last one: without its line end, or with blocks of zeros that a crash left in it."""
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
        raise wrong("its contents do not fit its hash")
    if entry.get("index") != index or entry.get("previous") != previous:
        raise wrong("it does not follow on the line before it")
    return entry


def _canonical(entry: Any) -> bytes:
    return json.dumps(entry, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def _digest(entry: dict[str, Any]) -> str:
    return hashlib.sha256(_canonical({k: v for k, v in entry.items() if k != "hash"})).hexdigest()
