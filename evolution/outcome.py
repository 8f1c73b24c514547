"""The last candidates of Private Evolution with their noisy votes, as a file: all that images are made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from accounting.digest import digest
from configs.errors import UserError
from configs.files import DAMAGED, atomic_write
from evolution.samples import Samples, arrays_of

FILE = "outcome.npz"


@dataclass(frozen=True, eq=False)
class Outcome:
    """What the last round left. Private because of the noise in the votes, like the release."""

    population: Sequence[Samples]
    """The candidates of each category, the same number for each."""
    shares: Sequence[np.ndarray]
    """Share of each candidate in what is made, one array float64 per category: for the candidates of that category, or
    for those of all categories one after the other, depending on what its images voted for."""
    votes: Sequence[np.ndarray]
    """Noisy votes, in arrays of the same shape."""
    ledger_head: str
    """Hash of the ledger's last line when the votes were charged."""

    def save(self, path: Path) -> None:
        """Write all of it to one file."""
        every = Samples.joined(self.population)
        arrays: dict[str, Any] = {
            "images": every.images,
            "parameters": every.parameters,
            "sizes": np.asarray([len(samples) for samples in self.population]),
            "shares": np.stack(list(self.shares)),
            "votes": np.stack(list(self.votes)),
            "ledger_head": np.asarray(self.ledger_head),
        }
        atomic_write(path, lambda file: np.savez_compressed(file, **arrays))

    @property
    def digest(self) -> str:
        """The hash by which the ledger knows these votes."""
        return digest_of(self.votes, self.population)

    @classmethod
    def read(cls, path: Path) -> Outcome:
        """Read what `save` wrote.

        Raises:
            UserError: if the file is missing or damaged.
        """
        try:
            with np.load(path, allow_pickle=False) as data:
                every, ends = Samples(data["images"], data["parameters"]), np.cumsum(data["sizes"])
                shares, votes, head = data["shares"], data["votes"], str(data["ledger_head"])
                whole = ends[-1] == len(every) and shares.shape == votes.shape
                columns = (len(every), len(every) // len(ends))  # all candidates, or those of each category
                if not whole or len(shares) != len(ends) or shares.shape[1] not in columns:
                    raise ValueError("its parts do not match")
                if not ((shares >= 0).all() and np.allclose(shares.sum(axis=1), 1)):  # no NaN passes either
                    raise ValueError("its shares are not valid shares")
        except (*DAMAGED, IndexError) as error:
            raise UserError(
                f"cannot read '{path}': it is missing or damaged. Remove it and give its run's command again: it "
                "is computed again from the votes, free of charge."
            ) from error
        population = [every.take(range(first, last)) for first, last in zip([0, *ends[:-1]], ends, strict=True)]
        return cls(population, list(shares), list(votes), head)


def digest_of(votes: Sequence[np.ndarray], population: Sequence[Samples]) -> str:
    """The hash by which the ledger knows a round's noisy votes and the candidates that they are for."""
    return digest([*votes, *arrays_of(population)])
