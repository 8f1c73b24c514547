"""The ledger of a run: every private access is charged here, durably, before it happens."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from accounting import composition, ledger_lines
from accounting.access import LEDGER_ONLY, PrivacyError, PrivateAccess
from accounting.chain import Chain, LedgerError
from accounting.groups import group_table
from accounting.ledger_lines import TERMS, check_meaning
from accounting.mechanisms import Mechanism, mechanism_from_dict
from accounting.run_key import RunKey
from accounting.statements import delta_text, epsilon_text, target_text

__all__ = ["Ledger", "LedgerError"]

_SLACK = 1 + 1e-9  # two ways of adding the same floats


class Ledger:
    """What a run may spend and what it has been charged with; one process writes at a time.

    Whole mechanisms are charged, however many of their steps are run, so that neither a crash nor a resume changes
    epsilon. Lines: open, reserve, start, progress, inherit, note. Nothing in it is computed from images, but its times
    tell how long private steps took, which depends on the sampled batches, so it is no part of the release.
    """

    def __init__(self, chain: Chain, *, writable: bool) -> None:
        self._chain = chain
        self._writable = writable
        check_meaning(chain)

    @classmethod
    def open(
        cls, path: str | Path, *, epsilon: float, delta: float, n: int, accountant: str, insecure: bool = False
    ) -> Ledger:
        """The ledger in `path`, created where there is none, verified where there is.

        Raises LedgerError where it is damaged or was opened on other terms.
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
                f"{path}: this run's ledger was opened with {', '.join(differ)}. What was promised cannot change: go "
                "back to those values, or start a new run under another run.name."
            )
        return ledger

    @classmethod
    def read(cls, path: str | Path) -> Ledger:
        """The verified ledger in `path`, to look at; LedgerError where it is missing, empty or damaged."""
        chain = Chain.read(Path(path), repair=False)
        if not chain.entries:
            raise LedgerError(f"{path}: the ledger is empty: this run has not begun")
        return cls(chain, writable=False)

    @property
    def entries(self) -> tuple[dict[str, Any], ...]:
        """All lines in order."""
        return tuple(self._chain.entries)

    @property
    def terms(self) -> dict[str, Any]:
        """Target epsilon, delta, n, accountant and whether the key is insecure."""
        return {k: self._chain.entries[0][k] for k in TERMS}

    @property
    def head(self) -> str:
        """The hash of the last line."""
        return self._chain.head

    def contains(self, head: str) -> bool:
        """Whether some line has this hash."""
        return any(entry["hash"] == head for entry in self._chain.entries)

    def require(self, head: str) -> None:
        """LedgerError unless some line has this hash, which a checkpoint saw."""
        if not self.contains(head):
            raise LedgerError(
                f"{self._chain.path}: a checkpoint of this run knows of a ledger line ({head[:12]}…) that is not here: "
                "the ledger was shortened or replaced. Restore it from a backup, or start a new run (run.name)."
            )

    def reserve(self, mechanism: Mechanism, *, stage: str, fingerprint: str, run_key: RunKey) -> PrivateAccess:
        """Charge a mechanism (once for the same stage, fingerprint and parameters) and start a new generation of it.

        Both are on the disk before the access is returned. Raises LedgerError where the composed epsilon would exceed
        the target, and then nothing is entered.
        """
        self._check_key(run_key)
        wanted = {"stage": stage, "fingerprint": fingerprint, "mechanism": mechanism.to_dict()}
        charge = ledger_lines.find(self._chain.entries, "reserve", wanted)
        if charge is None:
            self._check_room(mechanism)
            charge = self._append("reserve", **wanted)["index"]
        started = sum(e["kind"] == "start" and e["charge"] == charge for e in self._chain.entries)
        generation = 0 if run_key.insecure else started + 1
        # The count alone would repeat itself in a ledger restored from a copy, beside the same key: so would the noise.
        salt = "insecure" if run_key.insecure else os.urandom(16).hex()
        return self._access(self._append("start", charge=charge, generation=generation, salt=salt), run_key)

    def join(self, start: str, mechanism: Mechanism, *, stage: str, fingerprint: str, run_key: RunKey) -> PrivateAccess:
        """The access that another process of the same job was granted by `reserve`, for its other ranks.

        start: the `ledger_head` of that access. All ranks then have the same draws and the same noise, for parts of one
        sum. Nothing is charged or written. Raises LedgerError unless `start` is the ledger's last line (once steps are
        published, nobody may join: the noise would be used again) and begins this very mechanism.
        """
        self._check_key(run_key)
        entry = self._chain.entries[-1]
        wanted = {"stage": stage, "fingerprint": fingerprint, "mechanism": mechanism.to_dict()}
        if entry["hash"] != start or entry["kind"] != "start":
            raise LedgerError(
                f"{self._chain.path}: this is not the ledger that the job's first process has charged, or it has gone "
                "on since. All processes of a job must see the same run folder (run.root), and only one job may use it."
            )
        charged = self._chain.entries[entry["charge"]]
        if any(charged[key] != value for key, value in wanted.items()):
            raise LedgerError(
                f"{self._chain.path}: the job's first process has charged another mechanism or stage than this one "
                "asks for. Start every process of a job with the same configuration."
            )
        return self._access(entry, run_key)

    def _access(self, start: dict[str, Any], run_key: RunKey) -> PrivateAccess:
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
        """Charge what a cached private result cost (once for the same source); LedgerError where it would overspend."""
        wanted = {"mechanism": mechanism.to_dict(), "source": source}
        if ledger_lines.find(self._chain.entries, "inherit", wanted) is None:
            self._check_room(mechanism)
            self._append("inherit", **wanted)

    def note(self, text: str) -> None:
        """Record something that costs nothing, such as that the run key was destroyed."""
        self._append("note", text=text)

    def progress(self, mechanism_name: str, step: int, digest: str | None = None) -> None:
        """Record that `step` steps of the last started mechanism of that name are done and durable.

        digest: of what the last of them released, where that is kept as a file.
        """
        charge = ledger_lines.latest(self._chain.entries, mechanism_name)
        if charge is None:
            raise PrivacyError(f"{self._chain.path}: no mechanism named {mechanism_name!r} was started")
        _Charge(self, charge).progress(step, digest)

    def published(self, mechanism_name: str) -> int:
        """The greatest progress of the last started mechanism of that name (0: none, or none was started)."""
        charge = ledger_lines.latest(self._chain.entries, mechanism_name)
        return 0 if charge is None else _Charge(self, charge).published()

    def confirm(self, mechanism_name: str, step: int, digest: str) -> None:
        """LedgerError where step `step` of the last started mechanism of that name released something else.

        Entered where a crash came between the release and its line. An answer that was taken over has none.
        """
        charge = ledger_lines.latest(self._chain.entries, mechanism_name)
        known = None if charge is None else self.digest(charge, step)
        if charge is not None and known is None:
            _Charge(self, charge).progress(step, digest)
        elif known not in (None, digest):
            raise LedgerError(
                f"{self._chain.path}: the answer of {mechanism_name} that is on the disk (step {step}) is not the one "
                "that was given: its file was changed. Restore it from a copy, or start a new run (run.name)."
            )

    def digest(self, charge: int, step: int) -> str | None:
        """What a charge, by its index, had released after `step` steps; None where that is not recorded."""
        lines = ledger_lines.progress(self._chain.entries, charge)
        return next((e["digest"] for e in lines if e["step"] == step and "digest" in e), None)

    def mechanisms(self) -> list[Mechanism]:
        """Every mechanism charged, as a whole, in the order of the charges."""
        return [mechanism_from_dict(e["mechanism"]) for e in ledger_lines.charges(self._chain.entries)]

    def release_ids(self) -> list[str]:
        """For each of the `mechanisms`, what tells its answer from any other: the salted line that last began it.

        Of an answer that was taken over, the id it has in the run that was charged for it.
        """
        return ledger_lines.release_ids(self._chain.entries)

    def epsilon(self, accountant: str | None = None) -> float:
        """The composed epsilon of all charges, under the ledger's accountant unless another is named."""
        return composition.epsilon(self.mechanisms(), self.terms["delta"], accountant or self.terms["accountant"])

    def groups(self) -> list[dict[str, Any]]:
        """The `group_table` of all charges: epsilon of several records together at the ledger's delta."""
        return group_table(self.mechanisms(), self.terms["delta"], self.terms["accountant"])

    def _check_key(self, run_key: RunKey) -> None:
        if run_key.insecure != self.terms["insecure"]:
            raise LedgerError(
                f"{self._chain.path}: the ledger and the run key do not agree whether the key is insecure"
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
                " Start a new run (run.name)."
            )

    def _append(self, kind: str, **payload: Any) -> dict[str, Any]:
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
