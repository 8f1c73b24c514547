"""What the mechanisms of a run guarantee for several records together, such as all records of one person."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from accounting.composition import epsilon
from accounting.mechanisms import Mechanism

GROUPS = (2, 5, 10)  # group sizes that are stated


def group_epsilon(mechanisms: Sequence[Mechanism], delta: float, records: int, accountant: str = "rdp") -> float:
    """Epsilon at the same `delta` if `records` records are added or removed together.

    It is composed from the mechanisms, not from the run's epsilon: records times epsilon would hold only at a far
    greater delta (Vadhan 2017, Lemma 2.2).

    - If every record is read, m records move the noised quantity by at most m times the sensitivity. So the noise
      multiplier counts as one m-th of itself, and the composition is exact.
    - If records are sampled, each is sampled independently. `mixture.Mixture` is the dominating pair; it is composed by
      RDP or, in both directions, by PRV.

    Args:
        delta: in (0, 1).
        records: >= 1.
        accountant: "rdp" or "prv".

    Returns:
        Epsilon >= 0; for one record the epsilon of the run; inf if there is no bound.
    """
    return epsilon(mechanisms, delta, accountant, records)


def group_table(mechanisms: Sequence[Mechanism], delta: float, accountant: str = "rdp") -> list[dict[str, Any]]:
    """For each size in GROUPS, values for JSON: `records`, and `epsilon` at `delta` (None if there is no bound)."""
    found = [(records, group_epsilon(mechanisms, delta, records, accountant)) for records in GROUPS]
    return [{"records": records, "epsilon": value if math.isfinite(value) else None} for records, value in found]
