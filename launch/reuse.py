"""A private answer of another run, taken over with what it cost (`query.reuse`, `evolution.reuse`)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accounting.ledger import Ledger
from accounting.mechanisms import Mechanism, mechanism_from_dict
from configs.errors import UserError
from configs.schema import Experiment
from launch.config import load
from launch.run_directory import RunDirectory

SECTIONS = {"query": "query", "evolve": "evolution"}
"""The stages whose answers may be taken over, and the section that says so."""
SAME = {
    "query": ("sensitive", "image", "public", "query.per_category"),
    "evolve": ("sensitive", "image", "public", "evolution.api", "evolution.rounds", "evolution.vote_for"),
}
"""What says what was asked of whom, and how to read the answer: it must be the same in both runs."""


@dataclass(frozen=True)
class Answer:
    """Where a private answer is, the mechanism that paid for it, and its release id: the ledger line that began it.

    A charge that was begun again after a crash, in another copy of the folder say, has other noise, so that the line of
    the charge does not tell two answers apart; the salted line of its last beginning does. earlier: the release ids of
    what its run had been charged with before, which the answer may follow from. heads: the ledger lines since, one of
    which the answer's file must name.
    """

    folder: Path
    mechanism: Mechanism
    release_id: str
    earlier: frozenset[str]
    heads: frozenset[str]

    def require(self, head: object, path: Path) -> None:
        """UserError unless the answer's file in `path` was written under this very charge."""
        if head not in self.heads:
            raise UserError(
                f"'{path}' is not what its run's ledger paid for: the file, or the ledger, was put there from another "
                "run. Take over an answer of a run that is as it was left."
            )


def reused(config: Experiment, stage: str) -> str | None:
    """The run whose answer a stage takes over, where the run has that stage and takes one over."""
    return getattr(config, SECTIONS[stage]).reuse if stage in config.stages else None


def answer_of(config: Experiment, stage: str) -> Answer:
    """The answer that a stage takes over from another run. Opens no image.

    Whoever is given both releases has been given one answer, so that it is charged once in each ledger and is no second
    release. UserError naming the key where there is none, its ledger does not know it, it was asked of other images,
    that run's key may still be read, or it may follow from another answer that this run does not take over as well:
    then its charge alone would not be what it costs.
    """
    key, answer = f"{SECTIONS[stage]}.reuse", found_answer(config, stage)
    others = [other for other in SECTIONS if other != stage and reused(config, other) is not None]
    missing = answer.earlier - {found_answer(config, other).release_id for other in others}
    if missing:
        other = next(other for other in SECTIONS if other != stage)
        raise UserError(
            f"{key}: the answer in '{reused(config, stage)}' follows from another private answer of that run. Take "
            f"that over as well: {SECTIONS[other]}.reuse, with the stage {other}."
        )
    return answer


def found_answer(config: Experiment, stage: str) -> Answer:
    """The answer as another run has it, whatever it follows from."""
    key, path = f"{SECTIONS[stage]}.reuse", str(reused(config, stage))
    places = [RunDirectory(place) for place in (Path(path), Path(config.run.root) / path)]
    directory = next((place for place in places if place.config.is_file()), places[0])
    marker = directory.marker(stage)
    if not directory.config.is_file() or marker is None:
        raise UserError(f"{key}: '{path}' is no run that has finished its stage '{stage}'.")
    if directory.key.exists():
        raise UserError(f"{key}: the run '{path}' still has its key. Let it finish first: give its command again.")
    ledger, other = Ledger.read(directory.ledger), load(str(directory.config))
    ledger.require(marker["ledger_head"])
    if ledger.terms["insecure"] and config.privacy.insecure_key is None:
        raise UserError(f"{key}: the run '{path}' has a fixed key, so its answer is not private.")
    differ = [name for name in SAME[stage] if value_of(other, name) != value_of(config, name)]
    if differ:
        raise UserError(f"{key}: the run '{path}' has another {', '.join(differ)}: its answer is of something else.")
    charges = [entry for entry in ledger.entries if entry["kind"] in ("reserve", "inherit")]
    own = [i for i, entry in enumerate(charges) if entry["kind"] == "reserve" and entry["stage"] == stage]
    starts = last_starts(ledger)
    if not own or charges[own[-1]]["index"] not in starts:
        raise UserError(f"{key}: the run '{path}' was not charged for '{stage}'; name the run that was.")
    charge = charges[own[-1]]
    start, earlier = starts[charge["index"]], ledger.release_ids()[: own[-1]]
    heads = frozenset(entry["hash"] for entry in ledger.entries[start["index"] :])
    return Answer(
        directory.stage(stage), mechanism_from_dict(charge["mechanism"]), start["hash"], frozenset(earlier), heads
    )


def last_starts(ledger: Ledger) -> dict[int, dict[str, Any]]:
    """The line that last began each charge, by the charge's index."""
    return {entry["charge"]: entry for entry in ledger.entries if entry["kind"] == "start"}


def value_of(config: Any, name: str) -> Any:
    """The value of a key or section, by its name with dots."""
    for part in name.split("."):
        config = getattr(config, part)
    return config
