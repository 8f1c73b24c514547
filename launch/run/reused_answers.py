"""A private answer of another run, taken over together with its charge (`query.reuse`, `evolution.reuse`)."""

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
"""The stages whose answers may be taken over, and the configuration section of each."""
FILES = {"query": "histogram.json", "evolve": FILE}
"""File of the answer in the folder of its stage."""
SAME = {
    "query": ("sensitive", "image", "public", "query.per_category"),
    "evolve": ("sensitive", "image", "public", "evolution.api", "evolution.rounds", "evolution.vote_for"),
}
"""Keys that must be the same in both runs: they say what was asked, of which images, and how to read the answer."""


@dataclass(frozen=True)
class Answer:
    """A private answer of another run, and its charge."""

    folder: Path
    """Folder of the stage that has the answer."""
    mechanism: Mechanism
    """What was charged for it."""
    release_id: str
    """Hash of the ledger line of the charge's last start.

    A charge that is started again after a crash, for example in another copy of the folder, has other noise. So the
    line of the charge cannot tell two answers apart, but the salted line of its last start can.
    """
    earlier: frozenset[str]
    """Release ids of what its run was charged with before. The answer may follow from those."""
    follows: frozenset[str]
    """Names of those mechanisms."""
    heads: frozenset[str]
    """Hashes of the ledger lines from the start on. The answer's file must state one of them."""
    digest: str | None
    """Digest of the answer, as that ledger has it."""

    def require(self, head: object, path: Path, digest: str) -> None:
        """Check that the answer's file was written under exactly this charge and was not changed since.

        Args:
            head: ledger head that the file states.
            path: the file, for the message.
            digest: digest of the file's content.

        Raises:
            UserError: if it was not.
        """
        if head not in self.heads or digest != self.digest:
            raise UserError(
                f"'{path}' is not the answer that its run's ledger was charged for: the file was changed, or it or the "
                "ledger comes from another run. Take over an answer of a run that was not changed."
            )


def reused(config: Experiment, stage: str) -> str | None:
    """The run whose answer a stage takes over; None if this run does not have that stage or takes over no answer."""
    return getattr(config, SECTIONS[stage]).reuse if stage in config.stages else None


class ReusedAnswers:
    """The answers that a run takes over, each found and verified once. Opens no image.

    Args:
        config: configuration of this run.
        n: number of its sensitive records.
    """

    def __init__(self, config: Experiment, n: int) -> None:
        self._config = config
        self._n = n
        self._found: dict[str, Answer] = {}

    def of(self, stage: str) -> Answer:
        """The answer of a stage, "query" or "evolve". Raises UserError like `answer_of`."""
        if stage not in self._found:
            self._found[stage] = answer_of(self._config, stage, self._n)
        return self._found[stage]


def answer_of(config: Experiment, stage: str, n: int) -> Answer:
    """The answer that a stage takes over from another run. Opens no image.

    Both releases contain the same answer. So it is charged once in each ledger, and is not a second release.

    Args:
        stage: "query" or "evolve".
        n: number of sensitive records of this run.

    Raises:
        UserError: with the key, if there is no such answer, its ledger does not know it, it was asked of other images,
            or the key of that run may still be read. Also if it may follow from another answer that this run does not
            take over: then its own charge would be less than it costs.
    """
    key, answer = f"{SECTIONS[stage]}.reuse", found_answer(config, stage, n)
    stages = list(config.stages)
    before = stages[: stages.index(stage)]  # a later stage is charged too late for this answer
    others = [other for other in SECTIONS if other in before and reused(config, other) is not None]
    missing = answer.earlier - {found_answer(config, other, n).release_id for other in others}
    if missing:
        other = next(other for other in SECTIONS if other != stage)
        if DP_SGD in answer.follows:
            raise UserError(
                f"{key}: the answer in '{reused(config, stage)}' follows from a model that was trained privately "
                "there, and no run can take over such a model. Give another run."
            )
        raise UserError(
            f"{key}: the answer in '{reused(config, stage)}' follows from another private answer of that run. Take "
            f"that over as well: {SECTIONS[other]}.reuse, with the stage {other} before {stage}."
        )
    return answer


def found_answer(config: Experiment, stage: str, n: int) -> Answer:
    """The answer as another run has it, regardless of what it follows from. Raises UserError like `answer_of`."""
    key, path = f"{SECTIONS[stage]}.reuse", str(reused(config, stage))
    directory = place_of(path, Path(config.run.root), stage)
    marker = directory.marker(stage)
    if not directory.config.is_file() or marker is None:
        raise UserError(f"{key}: '{path}' is neither a run that has finished its stage '{stage}' nor a release id.")
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
            f"{key}: the run '{path}' had {ledger.terms['n']} sensitive records, this one has {n}: its answer is about "
            "other images."
        )
    differ = [name for name in SAME[stage] if value_of(other, name) != value_of(config, name)]
    if differ:
        raise UserError(f"{key}: the answer of '{path}' does not fit this run, which differs in: {', '.join(differ)}.")
    charges = ledger_lines.charges(ledger.entries)
    own = [i for i, entry in enumerate(charges) if entry["kind"] == "reserve" and entry["stage"] == stage]
    starts = ledger_lines.last_starts(ledger.entries)
    if not own or charges[own[-1]]["index"] not in starts:
        raise UserError(f"{key}: the run '{path}' was not charged for '{stage}'; give the run that was.")
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
    """The run that a `reuse` key means.

    Args:
        named: folder of the run, its name under `root`, or the first 12 or more digits of its answer's release id.
        root: folder of the runs.
        stage: role of the answer's stage.
    """
    places = [RunDirectory(place) for place in (Path(named), root / named)]
    found = next((place for place in places if place.config.is_file()), None)
    if found is None and re.fullmatch(r"[0-9a-f]{12,64}", named):
        others = [RunDirectory(ledger.parent) for ledger in sorted(root.glob("*/ledger.jsonl"))]
        others.sort(
            key=lambda other: not (other.stage(stage) / FILES[stage]).is_file()
        )  # of several copies, the complete ones first
        found = next((other for other in others if has_answer(other, stage, named)), None)
    return found or places[0]


def has_answer(directory: RunDirectory, stage: str, named: str) -> bool:
    """Whether a run was charged for an answer whose release id begins with `named`. False if its ledger is damaged."""
    try:
        entries = Ledger.read(directory.ledger).entries
    except UserError:
        return False
    starts = (entry for entry in entries if entry["kind"] == "start" and entry["hash"].startswith(named))
    return any(entries[entry["charge"]]["stage"] == stage for entry in starts)


def warn_of_unused(config: Experiment) -> None:
    """Warn if the configuration names an answer but has no stage that takes it over, as in a comparison of methods."""
    for stage, section in SECTIONS.items():
        if getattr(config, section).reuse is not None and stage not in config.stages:
            warnings.warn(
                f"{section}.reuse: {config.method} has no stage '{stage}', so nothing is taken over", stacklevel=2
            )


def value_of(config: Any, name: str) -> Any:
    """The value of a key or section, by its dotted name."""
    for part in name.split("."):
        config = getattr(config, part)
    return config
