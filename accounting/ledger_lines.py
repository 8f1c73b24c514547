"""What the lines of a ledger must hold, and what they say together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from accounting.chain import Chain, LedgerError
from accounting.mechanisms import mechanism_from_dict
from configs.errors import UserError

Line = dict[str, Any]

TERMS = ("epsilon", "delta", "n", "accountant", "insecure")


def check_meaning(chain: Chain) -> None:
    """LedgerError for a line whose chain holds but which this version cannot act on."""
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
        raise UserError("it belongs to no reserved mechanism")
    return entry["charge"]


# What a line of each kind must hold; KeyError and the like where it does not.
_REQUIRED = {
    "open": lambda entries, entry: [entry[k] for k in TERMS],
    "reserve": lambda entries, entry: (mechanism_from_dict(entry["mechanism"]), entry["stage"], entry["fingerprint"]),
    "inherit": lambda entries, entry: (mechanism_from_dict(entry["mechanism"]), entry["source"]),
    "start": lambda entries, entry: (_charged(entries, entry), entry["generation"], entry["salt"]),
    "progress": lambda entries, entry: (_charged(entries, entry), int(entry["step"])),
    "note": lambda entries, entry: entry["text"],
}


def find(lines: Iterable[Line], kind: str, payload: Line) -> int | None:
    """The index of the first line of that kind and payload."""
    same = (e for e in lines if e["kind"] == kind and all(e[k] == v for k, v in payload.items()))
    return next((e["index"] for e in same), None)


def latest(lines: Sequence[Line], mechanism_name: str) -> int | None:
    """The charge, by its index, of the last started mechanism of that name."""
    started = (e["charge"] for e in reversed(lines) if e["kind"] == "start")
    return next((charge for charge in started if lines[charge]["mechanism"]["name"] == mechanism_name), None)


def charges(lines: Iterable[Line]) -> list[Line]:
    """The lines that cost something, in their order."""
    return [e for e in lines if e["kind"] in ("reserve", "inherit")]


def progress(lines: Iterable[Line], charge: int) -> list[Line]:
    """The lines that say how far a charge, by its index, has come."""
    return [e for e in lines if e["kind"] == "progress" and e["charge"] == charge]


def last_starts(lines: Iterable[Line]) -> dict[int, Line]:
    """The line that last began each charge, by the charge's index."""
    return {e["charge"]: e for e in lines if e["kind"] == "start"}


def release_ids(lines: Sequence[Line]) -> list[str]:
    """For each of the `charges`, the line that last began it; of an answer that was taken over, its id elsewhere."""
    starts = last_starts(lines)
    return [e["source"] if e["kind"] == "inherit" else starts.get(e["index"], e)["hash"] for e in charges(lines)]
