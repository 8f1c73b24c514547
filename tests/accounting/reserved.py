"""A charged mechanism, for tests of code that takes its noise from one."""

from __future__ import annotations

from pathlib import Path

from accounting.access import PrivateAccess
from accounting.ledger import Ledger
from accounting.mechanisms import Mechanism
from accounting.run_key import RunKey


def reserved(mechanism: Mechanism, folder: str | Path, insecure: bool = True) -> PrivateAccess:
    """Access to private data with a known key (the same noise for the same mechanism), or with a fresh secret one."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    key = RunKey.create_or_load(folder / "key", "5a" * 32 if insecure else None)
    ledger = Ledger.open(folder / "ledger.jsonl", epsilon=1e6, delta=1e-5, n=1000, accountant="rdp", insecure=insecure)
    return ledger.reserve(mechanism, stage="asked", fingerprint="f" * 64, run_key=key)
