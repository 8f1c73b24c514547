"""A message about single files, whose names may be sensitive."""

from __future__ import annotations

from collections.abc import Sequence

from configs.errors import UserError, keys_under
from datamodules.reading.listing import named


class FilesError(UserError):
    """Says what is wrong with some files of a folder. The message lists the first of them.

    Args:
        what: the message up to the names; begins with the key.
        names: paths below the folder that the key gives.
        advice: what to do, one or more sentences.
        reasons: what is wrong with each of them, if that differs.

    Sensitive: names of sensitive images are sensitive; show `unnamed` instead.
    """

    def __init__(self, what: str, names: Sequence[str], advice: str, reasons: Sequence[str] = ()) -> None:
        super().__init__(what, tuple(names), advice, tuple(reasons))
        self.what = what
        self.names = tuple(names)
        self.advice = advice
        self.reasons = tuple(reasons)

    def __str__(self) -> str:
        first = f" ({self.reasons[0]})" if self.reasons else ""
        return f"{self.what}: {named(list(self.names))}{first}. {self.advice}"

    def lines(self) -> str:
        """A line for each file, with what is wrong with it."""
        reasons = self.reasons or ("",) * len(self.names)
        return "".join(
            f"{name}: {reason}\n" if reason else f"{name}\n" for name, reason in zip(self.names, reasons, strict=True)
        )

    def unnamed(self, where: str) -> str:
        """The message without the names and their number. where: a sentence that says where the names are."""
        return f"{self.what}. {where} {self.advice}"

    def under(self, section: str) -> FilesError:
        """The same message, with the key placed in a section."""
        return FilesError(f"{section}.{self.what}", self.names, keys_under(section, self.advice), self.reasons)
