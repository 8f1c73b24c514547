"""The ledger of a run."""

from __future__ import annotations

from pathlib import Path

from accounting.ledger import Ledger
from launch.run.directory import find_run


def open_ledger(path: str | Path, root: str = "runs") -> Ledger:
    """The ledger of a run, verified, for reading: `mechanisms()`, `epsilon()`, `groups()`, `terms`.

    Args:
        path: folder or name of a run, or a ledger file.
        root: folder in which a run is looked for by name.

    Raises:
        UserError: if there is no such run, or its ledger (as LedgerError) is missing or damaged.
    """
    given = Path(path)
    directory = None if given.is_file() else find_run(str(path), root)
    ledger = Ledger.read(given if directory is None else directory.ledger)
    for head in [] if directory is None else directory.known_heads():
        ledger.require(head)
    return ledger
