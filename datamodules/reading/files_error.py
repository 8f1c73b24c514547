"""A message about single files, whose names not everybody who sees it may see."""

from __future__ import annotations

from collections.abc import Sequence

from configs.errors import UserError
from datamodules.reading.image_folder import named


class FilesError(UserError):
    """What is wrong with some files of a folder. The message names the first of them; `unnamed` is one without names.

    what: the message up to the names, beginning with the key it is about. names: paths below the folder that the key
    names. advice: what to do, one or more sentences.
    """

    def __init__(self, what: str, names: Sequence[str], advice: str) -> None:
        super().__init__(what, tuple(names), advice)
        self.what = what
        self.names = tuple(names)
        self.advice = advice

    def __str__(self) -> str:
        return f"{self.what}: {named(list(self.names))}. {self.advice}"

    def unnamed(self, where: str) -> str:
        """The message without a name, nor how many they are. where: a sentence on where the names are."""
        return f"{self.what}. {where} {self.advice}"

    def within(self, section: str) -> FilesError:
        """The same about a key of a section."""
        return FilesError(f"{section}.{self.what}", self.names, self.advice)
