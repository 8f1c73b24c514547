"""The ledger of a run: every private access is charged here, durably, before it happens."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from accounting import composition, ledger_lines
from accounting.access import LEDGER_ONLY, PrivacyError, PrivateAccess
from accounting.groups import group_table
from accounting.ledger_file import Chain, LedgerError
from accounting.ledger_lines import TERMS, Line, check_meaning
from accounting.mechanisms import Mechanism, mechanism_from_dict
from accounting.run_key import RunKey
from accounting.statements import delta_text, epsilon_text, target_text

__all__ = ["Ledger", "LedgerError"]

_SLACK = 1 + 1e-9  # two ways of adding the same floats


class Ledger:
    """What a run may spend and what has been charged. One process writes at a time.

    A mechanism is charged as a whole, however many of its steps run, so neither a crash nor a resume changes epsilon.
    Lines are of these kinds: open, reserve, start, progress, inherit, note.

    Args:
        chain: lines of the ledger, verified.
        writable: whether lines may be added.

    Raises:
        LedgerError: if this version cannot read one of the lines.

    Sensitive: nothing in it is computed from images. But its times show how long private steps took, which depends on
    the sampled batches, so the ledger is not part of the release.
    """

    def __init__(self, chain: Chain, *, writable: bool) -> None:
        self._chain = chain
        self._writable = writable
        check_meaning(chain)

    @classmethod
    def open(
        cls, path: str | Path, *, epsilon: float, delta: float, n: int, accountant: str, insecure: bool = False
    ) -> Ledger:
        """The ledger in `path`: created if the file is missing, verified if it exists.

        Args:
            epsilon: target, > 0.
            delta: in (0, 1).
            n: number of sensitive records, public by declaration.
            accountant: "rdp" or "prv".
            insecure: whether the run key is a fixed one for tests.

        Raises:
            LedgerError: if the ledger is damaged or was opened on other terms.
        """
        path = Path(path)
        terms = dict(zip(TERMS, (float(epsilon), float(delta), int(n), accountant, bool(insecure)), strict=True))
        chain = Chain.read(path, repair=True) if path.exists() else Chain.create(path)
        if not chain.entries:
            chain.append("open", format=1, **terms)
        ledger = cls(chain, writable=True)
        differ = [f"{k} {ledger.terms[k]} (now {terms[k]})" for k in TERMS if ledger.terms[k] != terms[k]]
        if differ:
            raise LedgerError(
                f"{path}: this run's ledger was opened with {', '.join(differ)}. A run's guarantee cannot change: go "
                "back to those values, or start a new run under another run.name."
            )
        return ledger

    @classmethod
    def read(cls, path: str | Path) -> Ledger:
        """The verified ledger in `path`, for reading only.

        Raises:
            LedgerError: if it is missing, empty or damaged.
        """
        chain = Chain.read(Path(path), repair=False)
        if not chain.entries:
            raise LedgerError(f"{path}: the ledger is empty: this run has not begun")
        return cls(chain, writable=False)

    @property
    def entries(self) -> tuple[Line, ...]:
        """All lines in order."""
        return tuple(self._chain.entries)

    @property
    def terms(self) -> dict[str, Any]:
        """Target epsilon, delta, n, accountant, and whether the key is insecure."""
        return {k: self._chain.entries[0][k] for k in TERMS}

    @property
    def head(self) -> str:
        """The hash of the last line."""
        return self._chain.head

    def contains(self, head: str) -> bool:
        """Whether some line has this hash."""
        return any(entry["hash"] == head for entry in self._chain.entries)

    def require(self, head: str) -> None:
        """Check that some line has this hash, which a checkpoint kept.

        Raises:
            LedgerError: if there is no such line.
        """
        if not self.contains(head):
            raise LedgerError(
                f"{self._chain.path}: a checkpoint of this run knows of a ledger line ({head[:12]}…) that is not here: "
                "the ledger was shortened or replaced. Restore it from a backup, or start a new run (run.name)."
            )

    def reserve(self, mechanism: Mechanism, *, stage: str, fingerprint: str, run_key: RunKey) -> PrivateAccess:
        """Charge a mechanism and start a new generation of it; both are on the disk before this returns.

        The same mechanism with the same stage and fingerprint is charged once.

        Args:
            stage: name of the stage that needs the access.
            fingerprint: hash of the stage's configuration and inputs.

        Raises:
            LedgerError: if the composed epsilon would exceed the target (nothing is entered then), or the key and the
                ledger do not agree whether the key is insecure.
        """
        self._check_key(run_key)
        wanted = {"stage": stage, "fingerprint": fingerprint, "mechanism": mechanism.to_dict()}
        charge = ledger_lines.find(self._chain.entries, "reserve", wanted)
        if charge is None:
            self._check_room(mechanism)
            charge = self._append("reserve", **wanted)["index"]
        started = sum(e["kind"] == "start" and e["charge"] == charge for e in self._chain.entries)
        generation = 0 if run_key.insecure else started + 1
        # In a ledger restored from a copy, next to the same key, the count repeats itself. Without a salt so would the
        # noise.
        salt = "insecure" if run_key.insecure else os.urandom(16).hex()
        return self._access(self._append("start", charge=charge, generation=generation, salt=salt), run_key)

    def join(self, start: str, mechanism: Mechanism, *, stage: str, fingerprint: str, run_key: RunKey) -> PrivateAccess:
        """The access that `reserve` granted to another process of the same job, for a further rank of that job.

        All ranks have the same draws and the same noise, for parts of one sum. Nothing is charged or written.

        Args:
            start: the `ledger_head` of the access that `reserve` granted.
            stage: as in `reserve`.
            fingerprint: as in `reserve`.

        Raises:
            LedgerError: if `start` is not the ledger's last line, or began another mechanism or stage. Once steps are
                published it is too late to join: the noise would be used again.
        """
        self._check_key(run_key)
        entry = self._chain.entries[-1]
        wanted = {"stage": stage, "fingerprint": fingerprint, "mechanism": mechanism.to_dict()}
        if entry["hash"] != start or entry["kind"] != "start":
            raise LedgerError(
                f"{self._chain.path}: this is not the ledger that the job's first process has charged, or lines were "
                "added since. All processes of a job must see the same run folder (run.root), and only one job may use "
                "it."
            )
        charged = self._chain.entries[entry["charge"]]
        if any(charged[key] != value for key, value in wanted.items()):
            raise LedgerError(
                f"{self._chain.path}: the job's first process has charged another mechanism or stage than this one "
                "asks for. Start every process of a job with the same configuration."
            )
        return self._access(entry, run_key)

    def _access(self, start: Line, run_key: RunKey) -> PrivateAccess:
        """The access that a line of kind `start` grants."""
        charge = self._chain.entries[start["charge"]]
        return PrivateAccess(
            LEDGER_ONLY,
            mechanism=mechanism_from_dict(charge["mechanism"]),
            generation=start["generation"],
            run_key=run_key,
            stream=json.dumps([start["salt"], charge["stage"], charge["fingerprint"]]),
            charge=_Charge(self, charge["index"]),
        )

    def inherit(self, mechanism: Mechanism, *, source: str) -> None:
        """Charge what a cached private result cost; once for the same source.

        Args:
            source: release id of the result in the run that was charged for it.

        Raises:
            LedgerError: if the composed epsilon would exceed the target; nothing is entered then.
        """
        wanted = {"mechanism": mechanism.to_dict(), "source": source}
        if ledger_lines.find(self._chain.entries, "inherit", wanted) is None:
            self._check_room(mechanism)
            self._append("inherit", **wanted)

    def note(self, text: str) -> None:
        """Record something that costs nothing, for example that the run key was destroyed."""
        self._append("note", text=text)

    def published(self, mechanism_name: str) -> int:
        """The greatest progress of the last started mechanism of that name, in steps; 0 if there is none."""
        charge = ledger_lines.latest(self._chain.entries, mechanism_name)
        return 0 if charge is None else _Charge(self, charge).published()

    def confirm(self, mechanism_name: str, step: int, digest: str) -> None:
        """Check that step `step` of the last started mechanism of that name released the answer with this digest.

        The digest is entered if the ledger has no line of it, because a crash came between the release and its line.
        An answer that was taken over from another run is not checked here.

        Raises:
            LedgerError: if the step released another answer.
        """
        charge = ledger_lines.latest(self._chain.entries, mechanism_name)
        known = None if charge is None else self.digest(charge, step)
        if charge is not None and known is None:
            _Charge(self, charge).progress(step, digest)
        elif known not in (None, digest):
            raise LedgerError(
                f"{self._chain.path}: the answer of {mechanism_name} on the disk (step {step}) is not the one that was "
                "released: its file was changed. Restore it from a copy, or start a new run (run.name)."
            )

    def digest(self, charge: int, step: int) -> str | None:
        """The digest of what the charge with this index had released after `step` steps; None if not recorded."""
        lines = ledger_lines.progress(self._chain.entries, charge)
        return next((e["digest"] for e in lines if e["step"] == step and "digest" in e), None)

    def mechanisms(self) -> list[Mechanism]:
        """Every mechanism charged, as a whole, in the order of the charges."""
        return [mechanism_from_dict(e["mechanism"]) for e in ledger_lines.charges(self._chain.entries)]

    def release_ids(self) -> list[str]:
        """For each of the `mechanisms`, the id of its answer: the hash of the salted line that last began it.

        An answer that was taken over keeps the id that it has in the run that was charged for it.
        """
        return ledger_lines.release_ids(self._chain.entries)

    def epsilon(self, accountant: str | None = None) -> float:
        """The composed epsilon of all charges, under "rdp" or "prv" (default: the ledger's accountant)."""
        return composition.epsilon(self.mechanisms(), self.terms["delta"], accountant or self.terms["accountant"])

    def groups(self) -> list[dict[str, Any]]:
        """The `group_table` of all charges: epsilon for several records together, at the ledger's delta."""
        return group_table(self.mechanisms(), self.terms["delta"], self.terms["accountant"])

    def _check_key(self, run_key: RunKey) -> None:
        if run_key.insecure != self.terms["insecure"]:
            raise LedgerError(
                f"{self._chain.path}: the ledger and the run key do not agree whether the key is insecure. Set "
                "privacy.insecure_key as it was when the run began, or start a new run (run.name)."
            )

    def _check_room(self, mechanism: Mechanism) -> None:
        charged = self.mechanisms()
        terms = self.terms
        total = composition.epsilon([*charged, mechanism], terms["delta"], terms["accountant"])
        if total > terms["epsilon"] * _SLACK:
            so_far = ", ".join(m.name for m in charged) or "nothing"
            raise LedgerError(
                f"{self._chain.path}: {mechanism.name} would bring epsilon to {epsilon_text(total, 6)}, above the "
                f"target {target_text(terms['epsilon'])} at delta {delta_text(terms['delta'])} ({terms['accountant']})."
                f" Charged already: {so_far} (epsilon {epsilon_text(self.epsilon(), 6)}); charges are never taken back."
                " Start a new run under another run.name."
            )

    def _append(self, kind: str, **payload: Any) -> Line:
        if not self._writable:
            raise LedgerError(f"{self._chain.path}: the ledger was opened for reading only")
        return self._chain.append(kind, **payload)


class _Charge:
    """One reserved mechanism, as its `PrivateAccess` sees the ledger."""

    def __init__(self, ledger: Ledger, index: int) -> None:
        self._ledger = ledger
        self._index = index

    @property
    def head(self) -> str:
        return self._ledger.head

    def published(self) -> int:
        return max((e["step"] for e in ledger_lines.progress(self._ledger.entries, self._index)), default=0)

    def progress(self, step: int, digest: str | None = None) -> None:
        mechanism = self._ledger.entries[self._index]["mechanism"]
        steps = mechanism_from_dict(mechanism).steps
        if not 0 <= step <= steps:
            raise PrivacyError(f"{mechanism['name']}: progress {step} is outside 0..{steps}")
        known = {} if digest is None else {"digest": digest}
        self._ledger._append("progress", charge=self._index, name=mechanism["name"], step=int(step), **known)
