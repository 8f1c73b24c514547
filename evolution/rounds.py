"""What the rounds of Private Evolution leave on the disk, so that no vote is charged twice."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from accounting.digest import digest
from configs.errors import UserError
from configs.files import DAMAGED, atomic_write
from evolution.samples import Samples, arrays_of

SPENT = "Its budget is spent: restore the file from a copy, or start again under another run.name."


class Rounds:
    """The populations and noisy votes of a run, one file of each per round.

    Noisy votes are private because of their noise, and populations follow from them: nothing here is more sensitive
    than the release.

    Args:
        folder: where the files are.
        mark: fingerprint of the settings that the votes are for; votes with another fingerprint are refused.
    """

    def __init__(self, folder: Path, mark: str) -> None:
        self.folder = folder
        self.mark = mark

    def answered(self) -> int:
        """How many rounds, from the first on, have their votes on the disk."""
        round = 0
        while self._votes(round).is_file():
            round += 1
        return round

    def check(self, published: int, require: Callable[[str], None]) -> None:
        """Check the votes on the disk, before anything is charged.

        What follows from missing votes counts like the votes: their round must not be answered a second time.

        Args:
            published: how many rounds were answered, according to the ledger.
            require: raises an error unless the ledger has a line with this hash.

        Raises:
            UserError: if votes are missing, are for other settings, or were never charged.
        """
        answered = self.answered()
        published = max([published, *self._populations()])
        if published > answered:
            raise UserError(
                f"{published} rounds of Private Evolution were answered, according to the ledger and the candidates, "
                f"but '{self.folder}' has the votes of {answered}. {SPENT}"
            )
        for round in range(answered):
            require(str(self._read_votes(round)["ledger_head"]))

    def save_population(self, round: int, population: Sequence[Samples]) -> None:
        """Keep the candidates of a round; the candidates of the round before are removed."""
        arrays = {f"images_{i}": samples.images for i, samples in enumerate(population)}
        arrays |= {f"parameters_{i}": samples.parameters for i, samples in enumerate(population)}
        self._write(self._population(round), arrays)
        if round:
            self._population(round - 1).unlink(missing_ok=True)

    def latest(self) -> tuple[int, list[Samples]] | None:
        """The last round with candidates on the disk, and these candidates.

        Returns:
            None if there are no candidates, or if they are for other settings.

        Raises:
            UserError: if the file is damaged.
        """
        kept = self._populations()
        if not kept:
            return None
        path, advice = self._population(max(kept)), "Remove it and give the same command again: it is rebuilt."
        data = self._read(path, advice, "mark")
        if str(data["mark"]) != self.mark:
            return None
        count = sum(name.startswith("images_") for name in data)
        try:
            return max(kept), [Samples(data[f"images_{i}"], data[f"parameters_{i}"]) for i in range(count)]
        except DAMAGED as error:
            raise UserError(f"'{path}' is damaged. {advice}") from error

    def save_votes(
        self, round: int, histograms: Sequence[np.ndarray], population: Sequence[Samples], ledger_head: str
    ) -> None:
        """Keep a round's noisy votes.

        Args:
            round: number of the round.
            histograms: noisy votes, one array float64 [M] per category.
            population: the candidates that the votes are for.
            ledger_head: hash of the ledger's last line when the votes were charged.
        """
        arrays = {f"votes_{i}": votes for i, votes in enumerate(histograms)}
        known = {"candidates": np.asarray(digest(arrays_of(population))), "ledger_head": np.asarray(ledger_head)}
        self._write(self._votes(round), {**arrays, **known})

    def votes(self, round: int, population: Sequence[Samples]) -> tuple[list[np.ndarray], str]:
        """A round's noisy votes, and the `ledger_head` that was saved with them.

        Args:
            round: number of the round.
            population: the candidates that the votes must be for.

        Raises:
            UserError: if the file is damaged, or the votes are for other settings or other candidates.
        """
        path, data = self._votes(round), self._read_votes(round)
        if str(data.get("candidates")) != digest(arrays_of(population)):
            raise UserError(
                f"'{path}' has the votes for other candidates than those of round {round}: they were rebuilt, and "
                "what makes them (a simulator's file, or a model on a GPU) does not repeat itself. Restore "
                f"'{self._population(round)}' from a copy, or start again under another run.name."
            )
        found = [data.get(f"votes_{i}", np.empty(0)) for i in range(len(population))]
        if not all(np.isfinite(votes).all() for votes in found):
            raise UserError(f"'{path}' is damaged: not all votes are numbers. {SPENT}")
        return found, str(data["ledger_head"])

    def _read_votes(self, round: int) -> dict[str, np.ndarray]:
        path = self._votes(round)
        data = self._read(path, SPENT, "mark", "ledger_head")
        if str(data.get("mark")) != self.mark:
            raise UserError(f"'{path}' has votes for other settings. Start again under another run.name.")
        return data

    def _populations(self) -> list[int]:
        """The rounds with candidates on the disk; a copy under another name does not count."""
        found = (re.fullmatch(r"population-(\d{3,})\.npz", path.name) for path in self.folder.glob("population-*"))
        return [int(match[1]) for match in found if match]

    def _population(self, round: int) -> Path:
        return self.folder / f"population-{round:03d}.npz"

    def _votes(self, round: int) -> Path:
        return self.folder / f"votes-{round:03d}.npz"

    def _write(self, path: Path, arrays: dict[str, Any]) -> None:
        atomic_write(path, lambda file: np.savez_compressed(file, mark=np.asarray(self.mark), **arrays))

    def _read(self, path: Path, advice: str, *names: str) -> dict[str, np.ndarray]:
        """All arrays of a file, which must include `names`."""
        try:
            with np.load(path, allow_pickle=False) as data:
                return {name: data[name] for name in [*data.files, *names]}
        except PermissionError as error:
            raise UserError(f"cannot read '{path}': {error.strerror}. Fix its permissions.") from error
        except DAMAGED as error:
            raise UserError(f"cannot read '{path}': the file is damaged. {advice}") from error
