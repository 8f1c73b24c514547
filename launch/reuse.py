"""A private answer of another run, taken over with what it cost (`query.reuse`, `evolution.reuse`)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from accounting.ledger import Ledger
from accounting.mechanisms import Mechanism, mechanism_from_dict
from configs.errors import UserError
from configs.schema import Experiment
from launch.config import load
from launch.run_directory import RunDirectory

SAME = ("sensitive", "image", "public")  # sections that say what was asked of whom


@dataclass(frozen=True)
class Answer:
    """Where a private answer is, the mechanism that paid for it, and its release id: the ledger line of that charge."""

    folder: Path
    mechanism: Mechanism
    release_id: str


def answer_of(config: Experiment, path: str, stage: str, *, key: str) -> Answer:
    """The answer that the finished stage of another run's folder got. Opens no image.

    Whoever is given both releases has been given one answer, so that it is charged once in each ledger and is no second
    release. UserError naming `key` where there is none, its ledger does not know it, it was asked of other images, or
    that run's key may still be read.
    """
    directory = RunDirectory(Path(path))
    marker = directory.marker(stage)
    if not directory.config.is_file() or marker is None:
        raise UserError(f"{key}: '{path}' is no run that has finished its stage '{stage}'.")
    if directory.key.exists():
        raise UserError(f"{key}: the run '{path}' still has its key. Let it finish first: give its command again.")
    ledger, other = Ledger.read(directory.ledger), load(str(directory.config))
    ledger.require(marker["ledger_head"])
    if ledger.terms["insecure"] and config.privacy.insecure_key is None:
        raise UserError(f"{key}: the run '{path}' has a fixed key, so its answer is not private.")
    differ = [name for name in SAME if getattr(other, name) != getattr(config, name)]
    if differ:
        raise UserError(f"{key}: the run '{path}' has another {', '.join(differ)}: its answer is of something else.")
    charges = [entry for entry in ledger.entries if entry["kind"] == "reserve" and entry["stage"] == stage]
    if not charges:
        raise UserError(f"{key}: the run '{path}' was not charged for '{stage}'; name the run that was.")
    return Answer(directory.stage(stage), mechanism_from_dict(charges[-1]["mechanism"]), charges[-1]["hash"])
