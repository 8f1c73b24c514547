"""Whether a release is what its privacy statement says: ε is recomputed, and files are compared with their digests."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from accounting.composition import epsilon
from accounting.groups import group_epsilon
from accounting.mechanisms import Mechanism, mechanism_from_dict
from accounting.plan import check_budget
from accounting.statements import delta_text, epsilon_text, guarantee_text
from configs.errors import UserError
from configs.files import file_digest
from launch.run.release import STATEMENT, read_statement

ROUNDING = 1e-6  # relative; another version of NumPy may add the same numbers in another order
ANOTHER_COPY = "Take another copy of the release, as a whole, from its publisher."
STATED = ("delta", "accountant", "private", "epsilon_by_accountant", "groups", "records", "mechanisms")
ACCOUNTANTS = ("rdp", "prv")
NOT_PROVEN = (
    "that the run did what the file says: that it added this noise, drew it from a secret key, and that nothing else "
    "was computed from the sensitive images. Its owner has the ledger of the run, and checks it by `privimage ledger`;",
    "what the statement rests on: the assumptions listed in PRIVACY.md, such as that each person has one record;",
    "who wrote these files: digests are not signatures. A person who can change a file can change its digest too. "
    "Compare privacy.json with one that you have from its publisher.",
)


@dataclass
class Verdict:
    """What was found about a release."""

    epsilon: float | None = None
    """ε, composed again by the accountant that the statement names; None if it could not be."""
    claimed: float | None = None
    """ε as the statement says it."""
    delta: float | None = None
    """δ as the statement says it."""
    right: list[str] = field(default_factory=list)
    """What was checked and is right, a sentence each."""
    wrong: list[str] = field(default_factory=list)
    """What is wrong, a sentence each."""
    unknown: list[str] = field(default_factory=list)
    """What could not be checked, a sentence each."""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.wrong


def verify(folder: Path) -> Verdict:
    """Check a release. Touches no sensitive data.

    Raises:
        UserError: if the statement is missing, damaged, or lacks what is needed to recompute ε.
    """
    statement = read_statement(folder, ANOTHER_COPY)
    verdict = Verdict()
    if statement["private"] is not True or statement.get("notice"):
        verdict.wrong.append(str(statement.get("notice") or "the statement claims no guarantee: NOT PRIVATE."))
    if "epsilon" in statement:
        try:
            check_guarantee(statement, verdict)
        except (KeyError, TypeError, ValueError, AttributeError, UserError) as error:
            said = error if isinstance(error, UserError) else repr(error)
            raise UserError(
                f"'{folder / STATEMENT}' does not say what is needed to recompute ε: {said}. {ANOTHER_COPY}"
            ) from error
        check_words(folder, statement, verdict)
    elif not verdict.wrong:
        verdict.wrong.append("the statement calls the release private, but states no ε.")
    check_files(folder, statement, verdict)
    return verdict


def check_guarantee(statement: dict[str, Any], verdict: Verdict) -> None:
    """Compose the mechanisms again, under each accountant and for groups, and compare."""
    missing = [name for name in STATED if name not in statement]
    if missing:
        raise UserError(f"it has no {', '.join(missing)}")
    mechanisms: list[Mechanism] = [mechanism_from_dict(each) for each in statement["mechanisms"]]
    delta, accountant = float(statement["delta"]), statement["accountant"]
    claimed = float(statement["epsilon"])
    if not math.isfinite(claimed) or claimed < 0:
        raise UserError("its ε is not a number")
    verdict.claimed, verdict.delta = claimed, delta
    check_budget(max(claimed, 1e-9), delta, int(statement["records"]))  # δ below 1/n
    found = {name: epsilon(mechanisms, delta, name) for name in ACCOUNTANTS}
    if accountant not in found:
        raise UserError(f"there is no accountant {accountant!r}")
    verdict.epsilon = found[accountant]
    stated = {"": (accountant, claimed)} | {
        f" ({name.upper()})": (name, float(statement["epsilon_by_accountant"][name])) for name in ACCOUNTANTS
    }
    wrong = [
        f"ε{where} is stated as {epsilon_text(value)}, but the mechanisms compose to {epsilon_text(found[name])}."
        for where, (name, value) in stated.items()
        if not at_most(found[name], value)
    ]
    for row in statement["groups"]:
        value = math.inf if row["epsilon"] is None else float(row["epsilon"])
        together = group_epsilon(mechanisms, delta, int(row["records"]), accountant)
        if not at_most(together, value):
            wrong.append(
                f"for {row['records']} records together ε is stated as {epsilon_text(value)}, but the mechanisms "
                f"compose to {epsilon_text(together)}."
            )
    verdict.wrong += wrong
    if not wrong:
        verdict.right.append(
            f"the {len(mechanisms)} mechanism(s) in privacy.json compose to ε = {epsilon_text(verdict.epsilon)} at δ = "
            f"{delta_text(delta)} ({str(accountant).upper()}), not more than the stated ε = {epsilon_text(claimed)}; "
            "nor are the figures for groups too small."
        )


def at_most(found: float, claimed: float) -> bool:
    """Whether an ε that was found is not above the one that is claimed."""
    return found <= claimed * (1 + ROUNDING) + 1e-12


def check_words(folder: Path, statement: dict[str, Any], verdict: Verdict) -> None:
    """Whether the pages for people state the same guarantee as the file for programs."""
    stated = guarantee_text(statement["epsilon"], statement["delta"])
    for name in ("PRIVACY.md", "README.md"):
        try:
            text = (folder / name).read_text(encoding="utf-8")
        except (OSError, ValueError):
            continue  # missing or damaged: its digest says so
        if stated not in text:
            verdict.wrong.append(f"{name} does not state the guarantee of privacy.json: {stated}.")


def check_files(folder: Path, statement: dict[str, Any], verdict: Verdict) -> None:
    """Whether the files are those that were released with the statement."""
    digests = statement.get("files")
    if not isinstance(digests, dict) or not digests:
        verdict.unknown.append("privacy.json has no digests: an earlier version wrote it. The files were not checked.")
        return
    wrong = []
    for name, known in sorted(digests.items()):
        path = folder / Path(str(name)).name
        try:
            if file_digest(path) != known:
                wrong.append(f"{path.name} is damaged or was changed: it is not the file that was released.")
        except OSError as error:
            wrong.append(f"{path.name} cannot be read: {error.strerror or error}.")
    verdict.wrong += wrong
    if not wrong:
        verdict.right.append(f"the files are those that the statement was written for: {', '.join(sorted(digests))}.")
    others = sorted(path.name for path in folder.iterdir() if path.name not in {*digests, STATEMENT})
    if others:
        verdict.unknown.append(
            f"privacy.json says nothing of {', '.join(others)}: images drawn later, for example, or files of others."
        )
