"""A mutant: one small change of one file, and tests of which at least one must then fail."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Mutant:
    """A change that breaks the guarantee."""

    breaks: str
    """What the change does, in a few words that no other mutant has."""
    file: str
    """Path below the root of the repository."""
    old: str
    """The text that is replaced. Occurs exactly once in the file; may be several lines."""
    new: str
    """The text that replaces it."""
    tests: tuple[str, ...]
    """`file::test` below `tests/`, few and fast."""

    def applied_to(self, source: str) -> str:
        """The file's text with the change; ValueError if the old text does not occur exactly once."""
        found = source.count(self.old)
        if found != 1:
            raise ValueError(f"stale: its old text occurs {found} times in {self.file}")
        return source.replace(self.old, self.new)

    def problem(self, root: Path) -> str:
        """Why it cannot be tried on the repository in `root`; '' if it can."""
        try:
            source = (root / self.file).read_text()
            compile(self.applied_to(source), self.file, "exec")
        except (OSError, ValueError, SyntaxError) as error:
            return str(error)
        missing = [test for test in self.tests if not _is_there(test, root)]
        return f"there is no test {', '.join(missing)}" if missing else ""


def mutant(breaks: str, file: str, old: str, new: str, *tests: str) -> Mutant:
    """A mutant, in the form in which the lists write them."""
    return Mutant(breaks, file, old, new, tests)


def _is_there(test: str, root: Path) -> bool:
    """Whether a test file has a test of that name; its parameters are ignored."""
    path, _, name = test.partition("::")
    file = root / "tests" / path
    wanted = re.escape(name.partition("[")[0])
    return file.is_file() and re.search(rf"^def {wanted}\(", file.read_text(), flags=re.MULTILINE) is not None
