"""Access to a charged histogram, for tests."""

from __future__ import annotations

from pathlib import Path

from accounting.access import PrivateAccess
from accounting.ledger import Ledger
from accounting.mechanisms import GaussianHistogram, Mechanism
from accounting.run_key import RunKey


def reserved(folder: Path, mechanism: Mechanism | None = None, insecure: bool = True) -> PrivateAccess:
    """A charge with a known key (the same noise each time for the same mechanism), or with a fresh secret one."""
    mechanism = mechanism or GaussianHistogram(name="private evolution", noise_multiplier=3.0, rounds=2)
    folder.mkdir(parents=True, exist_ok=True)
    key = RunKey.create_or_load(folder / "key", "5a" * 32 if insecure else None)
    ledger = Ledger.open(folder / "ledger.jsonl", epsilon=1e6, delta=1e-5, n=1000, accountant="rdp", insecure=insecure)
    return ledger.reserve(mechanism, stage="evolve", fingerprint="f" * 64, run_key=key)
