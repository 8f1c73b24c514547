"""What a person sees while a run works: one line per stage, and plain warnings."""

from __future__ import annotations

import sys
import warnings
from typing import Any


class Console:
    """Lines for a person, on standard error: standard output is only for results.

    Args:
        quiet: whether to print errors only.
    """

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet

    @property
    def progress(self) -> bool:
        """Whether to draw progress bars."""
        return not self.quiet

    def line(self, text: str = "") -> None:
        """Print a line, unless quiet."""
        if not self.quiet:
            print(text, file=sys.stderr, flush=True)

    def failure(self, text: str) -> None:
        """Print an error, even if quiet."""
        print(f"privimage: {text}" if self.quiet else f"  failed      {text}", file=sys.stderr, flush=True)

    def stage(self, name: str, text: str) -> None:
        """Print the result of a stage."""
        self.line(f"  {name:<11} {text}")


def plain_warnings() -> None:
    """Show warnings as one line each: `privimage: warning: …`."""

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        print(f"privimage: warning: {message}", file=sys.stderr, flush=True)

    warnings.showwarning = show


def table(rows: list[list[str]]) -> str:
    """Rows as lines of text, with aligned columns: the first to the left, the others to the right.

    Args:
        rows: rows of equal length; the first one is the heading.
    """
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)
