"""The sensitive images are read before anything is trained or charged: what is wrong with them then costs nothing."""

from __future__ import annotations

from collections.abc import Sequence

from datamodules.sets.sensitive import SensitiveImages
from launch.components import read_sensitive
from launch.console import Console
from launch.run.directory import RunDirectory
from launch.run.setup import Setup
from launch.run.stage import Stage

SCORING = ("evaluate", "report")
"""Roles of the stages that read test images; the others that read sensitive images read training images."""


def read_first(
    setup: Setup, directory: RunDirectory, stages: Sequence[Stage], console: Console
) -> dict[bool, SensitiveImages]:
    """The sensitive images that the stages which are not done yet will read: by whether they are the test images.

    Raises:
        UserError: if files cannot be read, or no test image is left. The names of files go to `internal/`.

    Sensitive: the images are; nothing is computed from them here.
    """
    left = [stage.role for stage in stages if stage.reads_sensitive and directory.marker(stage.role) is None]
    names_to = directory.internal / "unreadable-files.txt"
    directory.internal.mkdir(mode=0o700, parents=True, exist_ok=True)  # the folder is not claimed yet
    return {
        test: read_sensitive(setup.sources.sensitive, names_to, test=test, progress=console.progress)
        for test in (False, True)
        if any((role in SCORING) == test for role in left)
    }
