"""The one time that released files bear: their own would tell how long private steps took."""

from __future__ import annotations

import os
from pathlib import Path

from configs.errors import UserError

RELEASED_AT = 315532800  # 1980-01-01 00:00 UTC in seconds, where the times of a zip archive begin


def settle(path: Path) -> None:
    """Give a file, or a folder with everything below it, `RELEASED_AT` as its times of access and modification.

    The time of a step of DP-SGD depends on its batch, which is secret. What writes a release calls this last. UserError
    where the times cannot be set.
    """
    below = [Path(folder) / name for folder, folders, files in os.walk(path) for name in (*folders, *files)]
    try:
        for each in (*below, path):
            os.utime(each, (RELEASED_AT, RELEASED_AT), follow_symlinks=False)
    except OSError as error:
        raise UserError(
            f"cannot set the times of '{error.filename}': {error.strerror}. They would tell how long private steps "
            "took: make the files yours, then give the same command again."
        ) from error
