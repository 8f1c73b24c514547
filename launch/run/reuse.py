"""A private answer of another run, taken over with what it cost (`query.reuse`, `evolution.reuse`)."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accounting import ledger_lines
from accounting.ledger import Ledger
from accounting.mechanisms import Mechanism, mechanism_from_dict
from accounting.plan import DP_SGD
from configs.errors import UserError
from configs.loading import load
from configs.schema import Experiment
from evolution.outcome import FILE
from launch.run.directory import RunDirectory

SECTIONS = {"query": "query", "evolve": "evolution"}
"""The stages whose answers may be taken over, and the section that says so."""
FILES = {"query": "histogram.json", "evolve": FILE}
"""Where each of them is, in the folder of its stage."""
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
    what its run had been charged with before, which the answer may follow from; follows: the names of those. heads:
    the ledger lines since, one of which the answer's file must name. digest: of the answer, as that ledger has it.
    """

    folder: Path
    mechanism: Mechanism
    release_id: str
    earlier: frozenset[str]
    follows: frozenset[str]
    heads: frozenset[str]
    digest: str | None

    def require(self, head: object, path: Path, digest: str) -> None:
        """UserError unless the answer's file in `path` was written under this very charge and is as it was then."""
        if head not in self.heads or digest != self.digest:
            raise UserError(
                f"'{path}' is not what its run's ledger paid for: the file was changed, or it or the ledger was "
                "put there from another run. Take over an answer of a run that is as it was left."
            )


def reused(config: Experiment, stage: str) -> str | None:
    """The run whose answer a stage takes over, where the run has that stage and takes one over."""
    return getattr(config, SECTIONS[stage]).reuse if stage in config.stages else None


def answer_of(config: Experiment, stage: str, n: int) -> Answer:
    """The answer that a stage takes over from another run, for a run of n sensitive records. Opens no image.

    Whoever is given both releases has been given one answer, so that it is charged once in each ledger and is no second
    release. UserError naming the key where there is none, its ledger does not know it, it was asked of other images,
    that run's key may still be read, or it may follow from another answer that this run does not take over as well:
    then its charge alone would not be what it costs.
    """
    key, answer = f"{SECTIONS[stage]}.reuse", found_answer(config, stage, n)
    stages = list(config.stages)
    before = stages[: stages.index(stage)]  # what comes later is charged too late for this answer
    others = [other for other in SECTIONS if other in before and reused(config, other) is not None]
    missing = answer.earlier - {found_answer(config, other, n).release_id for other in others}
    if missing:
        other = next(other for other in SECTIONS if other != stage)
        if DP_SGD in answer.follows:
            raise UserError(
                f"{key}: the answer in '{reused(config, stage)}' follows from a model that was trained privately "
                "there, which nothing can take over. Name another run."
            )
        raise UserError(
            f"{key}: the answer in '{reused(config, stage)}' follows from another private answer of that run. Take "
            f"that over as well: {SECTIONS[other]}.reuse, with the stage {other} before {stage}."
        )
    return answer


def found_answer(config: Experiment, stage: str, n: int) -> Answer:
    """The answer as another run has it, whatever it follows from."""
    key, path = f"{SECTIONS[stage]}.reuse", str(reused(config, stage))
    directory = place_of(path, Path(config.run.root), stage)
    marker = directory.marker(stage)
    if not directory.config.is_file() or marker is None:
        raise UserError(f"{key}: '{path}' is no run that has finished its stage '{stage}', nor a release id.")
    if directory.key.exists():
        raise UserError(f"{key}: the run '{path}' still has its key. Let it finish first: give its command again.")
    ledger = Ledger.read(directory.ledger)
    try:
        other = load(str(directory.config))
    except UserError as error:
        raise UserError(f"{key}: the run '{path}' cannot be read: {error}") from error
    ledger.require(marker["ledger_head"])
    if ledger.terms["insecure"] and config.privacy.insecure_key is None:
        raise UserError(f"{key}: the run '{path}' has a fixed key, so its answer is not private.")
    if ledger.terms["n"] != n:
        raise UserError(
            f"{key}: the run '{path}' had {ledger.terms['n']} sensitive records, this one has {n}: its answer is of "
            "other images."
        )
    differ = [name for name in SAME[stage] if value_of(other, name) != value_of(config, name)]
    if differ:
        raise UserError(f"{key}: the run '{path}' has another {', '.join(differ)}: its answer is of something else.")
    charges = ledger_lines.charges(ledger.entries)
    own = [i for i, entry in enumerate(charges) if entry["kind"] == "reserve" and entry["stage"] == stage]
    starts = ledger_lines.last_starts(ledger.entries)
    if not own or charges[own[-1]]["index"] not in starts:
        raise UserError(f"{key}: the run '{path}' was not charged for '{stage}'; name the run that was.")
    charge = charges[own[-1]]
    start, earlier = starts[charge["index"]], ledger.release_ids()[: own[-1]]
    mechanism = mechanism_from_dict(charge["mechanism"])
    return Answer(
        folder=directory.stage(stage),
        mechanism=mechanism,
        release_id=start["hash"],
        earlier=frozenset(earlier),
        follows=frozenset(found.name for found in ledger.mechanisms()[: own[-1]]),
        heads=frozenset(entry["hash"] for entry in ledger.entries[start["index"] :]),
        digest=ledger.digest(charge["index"], mechanism.steps),
    )


def place_of(named: str, root: Path, stage: str) -> RunDirectory:
    """The run of that folder, or name under `root`; or the one under `root` whose answer has that release id."""
    places = [RunDirectory(place) for place in (Path(named), root / named)]
    found = next((place for place in places if place.config.is_file()), None)
    if found is None and re.fullmatch(r"[0-9a-f]{12,64}", named):
        others = [RunDirectory(ledger.parent) for ledger in sorted(root.glob("*/ledger.jsonl"))]
        others.sort(key=lambda other: not (other.stage(stage) / FILES[stage]).is_file())  # of copies one that is whole
        found = next((other for other in others if has_answer(other, stage, named)), None)
    return found or places[0]


def has_answer(directory: RunDirectory, stage: str, named: str) -> bool:
    """Whether a run was charged for an answer whose release id begins so; not where its ledger cannot be read."""
    try:
        entries = Ledger.read(directory.ledger).entries
    except UserError:
        return False
    starts = (entry for entry in entries if entry["kind"] == "start" and entry["hash"].startswith(named))
    return any(entries[entry["charge"]]["stage"] == stage for entry in starts)


def warn_of_unused(config: Experiment) -> None:
    """Warn where an answer is named that no stage takes over; in a comparison other methods may."""
    for stage, section in SECTIONS.items():
        if getattr(config, section).reuse is not None and stage not in config.stages:
            warnings.warn(
                f"{section}.reuse: {config.method} has no stage '{stage}', so nothing is taken over", stacklevel=2
            )


def value_of(config: Any, name: str) -> Any:
    """The value of a key or section, by its name with dots."""
    for part in name.split("."):
        config = getattr(config, part)
    return config
