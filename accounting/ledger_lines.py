"""What the lines of a ledger must contain, and what they say together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from accounting.ledger_file import Chain, LedgerError
from accounting.mechanisms import mechanism_from_dict
from configs.errors import UserError

Line = dict[str, Any]  # a line's keys depend on its kind; see `_REQUIRED`

TERMS = ("epsilon", "delta", "n", "accountant", "insecure")  # keys of the first line


def check_meaning(chain: Chain) -> None:
    """Check that this version can act on every line of a verified chain.

    Raises:
        LedgerError: if a line is of an unknown kind or lacks a key that its kind must have; says which line.
    """
    for entry in chain.entries:
        try:
            if (entry["index"] == 0) != (entry["kind"] == "open"):
                raise UserError("only the first line opens a ledger")
            _REQUIRED[entry["kind"]](chain.entries, entry)
        except (KeyError, TypeError, IndexError, UserError) as error:
            raise LedgerError(
                f"{chain.path}, line {entry['index'] + 1}: an entry of kind {entry['kind']!r} that this "
                f"version cannot read ({error}). Use the version that wrote it, or start a new run."
            ) from error


def _charged(entries: list[Line], entry: Line) -> int:
    if not 0 < entry["charge"] < entry["index"] or entries[entry["charge"]]["kind"] != "reserve":
        raise UserError("there is no reserved mechanism that it belongs to")
    charge: int = entry["charge"]
    return charge


# What a line of each kind must contain; a line that lacks it raises KeyError, TypeError, IndexError or UserError.
_REQUIRED: dict[str, Callable[[list[Line], Line], object]] = {
    "open": lambda entries, entry: [entry[k] for k in TERMS],
    "reserve": lambda entries, entry: (mechanism_from_dict(entry["mechanism"]), entry["stage"], entry["fingerprint"]),
    "inherit": lambda entries, entry: (mechanism_from_dict(entry["mechanism"]), entry["source"]),
    "start": lambda entries, entry: (_charged(entries, entry), entry["generation"], entry["salt"]),
    "progress": lambda entries, entry: (_charged(entries, entry), int(entry["step"])),
    "note": lambda entries, entry: entry["text"],
}


def find(lines: Iterable[Line], kind: str, payload: Line) -> int | None:
    """The index of the first line of that kind and payload; None if there is no such line."""
    same = (e for e in lines if e["kind"] == kind and all(e[k] == v for k, v in payload.items()))
    return next((e["index"] for e in same), None)


def latest(lines: Sequence[Line], mechanism_name: str) -> int | None:
    """The index of the charge of the last started mechanism of that name; None if there is no such mechanism."""
    started = (e["charge"] for e in reversed(lines) if e["kind"] == "start")
    return next((charge for charge in started if lines[charge]["mechanism"]["name"] == mechanism_name), None)


def charges(lines: Iterable[Line]) -> list[Line]:
    """The lines that cost something, in order."""
    return [e for e in lines if e["kind"] in ("reserve", "inherit")]


def progress(lines: Iterable[Line], charge: int) -> list[Line]:
    """The lines of kind `progress` of the charge with this index."""
    return [e for e in lines if e["kind"] == "progress" and e["charge"] == charge]


def last_starts(lines: Iterable[Line]) -> dict[int, Line]:
    """The last line of kind `start` of each charge, by the charge's index."""
    return {e["charge"]: e for e in lines if e["kind"] == "start"}


def release_ids(lines: Sequence[Line]) -> list[str]:
    """For each of the `charges`, the hash of the line that last began it, or the id of an answer taken over."""
    starts = last_starts(lines)
    return [e["source"] if e["kind"] == "inherit" else starts.get(e["index"], e)["hash"] for e in charges(lines)]
