"""The last candidates on the disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from configs.errors import UserError
from evolution.outcome import Outcome
from evolution.samples import Samples


def outcome(columns: int) -> Outcome:
    rng = np.random.default_rng(columns)
    population = [
        Samples(rng.integers(0, 256, (size, 1, 4, 4), dtype=np.uint8), rng.normal(size=(size, 3))) for size in (5, 5, 5)
    ]
    shares, votes = rng.random((3, columns)), rng.normal(size=(3, columns))
    return Outcome(population, list(shares / shares.sum(axis=1, keepdims=True)), list(votes), "head")


@pytest.mark.parametrize("columns", [5, 15])  # votes for a category's own candidates, and for all
def test_what_is_kept_is_what_was_there(columns: int, tmp_path: Path) -> None:
    kept = outcome(columns)
    kept.save(tmp_path / "outcome.npz")
    found = Outcome.read(tmp_path / "outcome.npz")
    assert found.ledger_head == "head"
    for here, there in zip(kept.population, found.population, strict=True):
        assert (here.images == there.images).all() and (here.parameters == there.parameters).all()
    assert np.array_equal(np.stack(kept.shares), np.stack(found.shares))
    assert np.array_equal(np.stack(kept.votes), np.stack(found.votes))


def test_what_is_damaged_is_one_message(tmp_path: Path) -> None:
    path = tmp_path / "outcome.npz"
    outcome(5).save(path)
    path.write_bytes(path.read_bytes()[:200])
    for _ in range(2):
        with pytest.raises(UserError, match=r"missing or damaged\. Remove it and give its run's command again"):
            Outcome.read(path)
        path.unlink(missing_ok=True)


@pytest.mark.parametrize(
    "change",
    [
        {"votes": np.zeros((3, 7)), "shares": np.zeros((3, 7))},
        {"votes": np.zeros((3, 5))},
        {"votes": np.float64(3), "shares": np.float64(3)},
        {"sizes": np.array([5, 5, 4])},
        {"sizes": np.zeros(0, dtype=int)},
        {"shares": np.zeros((3, 15))},
        {"shares": np.full((3, 15), np.nan)},
    ],
)
def test_parts_that_do_not_go_together_are_one_message(change: dict[str, np.ndarray], tmp_path: Path) -> None:
    path = tmp_path / "outcome.npz"
    outcome(15).save(path)
    with np.load(path) as data:
        arrays = dict(data) | change
    np.savez(path, **arrays)
    with pytest.raises(UserError, match="missing or damaged"):
        Outcome.read(path)
