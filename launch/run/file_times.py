"""The one time that all released files carry: their own times would tell how long private steps took."""

from __future__ import annotations

import os
from pathlib import Path

from configs.errors import UserError

RELEASED_AT = 315532800  # 1980-01-01 00:00 UTC in seconds, the earliest time that a zip archive can store


def settle(path: Path) -> None:
    """Set the access and modification times of a file, or of a folder and everything below it, to `RELEASED_AT`.

    The time of a DP-SGD step depends on its batch, which is secret. Code that writes a release calls this last.

    Raises:
        UserError: if the times cannot be set.
    """
    below = [Path(folder) / name for folder, folders, files in os.walk(path) for name in (*folders, *files)]
    try:
        for each in (*below, path):
            os.utime(each, (RELEASED_AT, RELEASED_AT), follow_symlinks=False)
    except OSError as error:
        raise UserError(
            f"cannot set the times of '{error.filename}': {error.strerror}. They would tell how long private steps "
            "took: make yourself the owner of the files, then give the same command again."
        ) from error
