"""What the mechanisms of a run guarantee to several records together, such as all those of one person."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from accounting.composition import epsilon
from accounting.mechanisms import Mechanism

GROUPS = (2, 5, 10)  # sizes of group that are stated


def group_epsilon(mechanisms: Sequence[Mechanism], delta: float, records: int, accountant: str = "rdp") -> float:
    """Epsilon at the same `delta` when `records` records are added or removed together; inf where there is no bound.

    It is composed from the mechanisms anew. records times epsilon would hold at a far greater delta only (Vadhan 2017,
    Lemma 2.2). Where every record is read, m records move the noised quantity by m times the sensitivity at most, so
    that the noise multiplier counts as one m-th; composed exactly. Where records are sampled, each is on its own:
    `mixture.Mixture` is the pair that dominates, composed by RDP or, in both directions, by PRV. For one record it is
    the epsilon of the run. Touches no data.
    """
    return epsilon(mechanisms, delta, accountant, records)


def group_table(mechanisms: Sequence[Mechanism], delta: float, accountant: str = "rdp") -> list[dict[str, Any]]:
    """For each size in GROUPS, plain values for JSON: `records` and `epsilon` at `delta`, None where there is no bound.

    Touches no data.
    """
    found = [(records, group_epsilon(mechanisms, delta, records, accountant)) for records in GROUPS]
    return [{"records": records, "epsilon": value if math.isfinite(value) else None} for records, value in found]
