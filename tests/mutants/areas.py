"""All mutants, by area."""

from __future__ import annotations

from tests.mutants import accounting, dp_sgd, evolution, models, outside, runs, semantics
from tests.mutants.mutant import Mutant

AREAS: dict[str, tuple[Mutant, ...]] = {
    "accounting": accounting.MUTANTS,
    "dp_sgd": dp_sgd.MUTANTS,
    "models": models.MUTANTS,
    "semantics": semantics.MUTANTS,
    "evolution": evolution.MUTANTS,
    "runs": runs.MUTANTS,
    "outside": outside.MUTANTS,
}


def chosen(words: str) -> list[tuple[str, Mutant]]:
    """The mutants with their areas, if area, file or description contains the words; all of them for ''."""
    every = [(area, mutant) for area, mutants in AREAS.items() for mutant in mutants]
    return [pair for pair in every if words.lower() in f"{pair[0]}: {pair[1].breaks} ({pair[1].file})".lower()]
