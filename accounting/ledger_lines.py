"""What the lines of a ledger must hold."""

from __future__ import annotations

from typing import Any

from accounting.chain import Chain, LedgerError
from accounting.mechanisms import mechanism_from_dict
from configs.errors import UserError

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


def _charged(entries: list[dict[str, Any]], entry: dict[str, Any]) -> int:
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
