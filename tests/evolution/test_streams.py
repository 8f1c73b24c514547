"""Random numbers for one purpose are not used for another."""

from __future__ import annotations

from evolution import streams
from evolution.streams import stream

PURPOSES = [value for name, value in vars(streams).items() if name.isupper()]


def test_every_purpose_and_place_has_numbers_of_its_own_that_come_again() -> None:
    assert len(PURPOSES) == len(set(PURPOSES)) > 5
    drawn = [
        tuple(stream(seed, purpose, round, category).integers(0, 2**32, 4))
        for seed in (0, 1)
        for purpose in PURPOSES
        for round in range(3)
        for category in range(3)
    ]
    assert len(set(drawn)) == len(drawn)
    assert tuple(stream(0, PURPOSES[0], 0, 0).integers(0, 2**32, 4)) == drawn[0]
